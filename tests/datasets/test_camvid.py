import os
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import (
    fabricate_camvid,
    fabricate_camvid_published,
    truncate,
    write_image,
    write_labels,
)

from tessella.datasets.camvid import CLASSES, CamVid, split_of_frame
from tessella.errors import InputError


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_segnet_layout(tmp_path: Path, ending: str) -> None:
    fabricate_camvid(tmp_path, ending=ending)
    ids = write_labels(tmp_path / "trainannot" / "0001TP_000000.png", range(12))
    data = CamVid(tmp_path, "train")
    sample = data[0]
    assert len(data) == 3
    assert data.ids[0] == sample.id == "train/0001TP_000000"
    np.testing.assert_array_equal(sample.labels, np.where(ids == 11, 255, ids))
    assert sample.labels.dtype == np.uint8
    assert sample.image.shape == (24, 32, 3)
    assert len(CLASSES) == 11


def test_image_is_rgb(tmp_path: Path) -> None:
    fabricate_camvid(tmp_path)
    image = write_image(tmp_path / "val" / "0001TP_000001.png", seed=7)
    np.testing.assert_array_equal(CamVid(tmp_path, "val")[1].image, image)


def test_published_layout_maps_32_colors_to_11_classes(tmp_path: Path) -> None:
    fabricate_camvid_published(tmp_path)
    labels = CamVid(tmp_path, "val")[0].labels
    # how many of the 32 colours each class takes in, in the order of CLASSES, and void
    expected = np.repeat([*range(11), 255], [1, 5, 2, 3, 3, 2, 3, 1, 5, 4, 2, 1])
    np.testing.assert_array_equal(labels[0, ::4], expected)


def test_published_layout_splits_by_sequence(tmp_path: Path) -> None:
    fabricate_camvid_published(tmp_path)
    assert CamVid(tmp_path, "train").ids == (
        "train/0001TP_008520",
        "train/0006R0_f00930",
        "train/0016E5_08640",
    )
    assert CamVid(tmp_path, "val").ids == ("val/0016E5_07959",)
    assert CamVid(tmp_path, "test").ids == ("test/0001TP_008550", "test/Seq05VD_f00000")


def test_published_layout_goes_by_the_users_list(tmp_path: Path) -> None:
    fabricate_camvid_published(tmp_path)
    (tmp_path / "train.txt").write_text("Seq05VD_f00000.png\n0001TP_008550\n")
    assert CamVid(tmp_path, "train").ids == ("train/0001TP_008550", "train/Seq05VD_f00000")
    (tmp_path / "val.txt").write_text("nowhere\n")
    with pytest.raises(InputError, match="nowhere listed"):
        CamVid(tmp_path, "val")


def test_published_layout_refuses_a_stray_color(tmp_path: Path) -> None:
    fabricate_camvid_published(tmp_path)
    write_image(tmp_path / "LabeledApproved_full" / "0016E5_07959_L.png", size=(6, 128))
    with pytest.raises(InputError, match="0016E5_07959_L"):
        CamVid(tmp_path, "val")[0]


def test_missing_root_and_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*no such folder"):
        CamVid(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match="split 'training': CamVid has train, val, test"):
        CamVid(tmp_path, "training")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"train: holds no file named"):
        CamVid(tmp_path, "train")


def test_image_without_labels(tmp_path: Path) -> None:
    fabricate_camvid(tmp_path)
    (tmp_path / "trainannot" / "0001TP_000001.png").unlink()
    with pytest.raises(InputError, match="has no label map"):
        CamVid(tmp_path, "train")
    data = CamVid(tmp_path, "train", skip_orphans=True)
    assert data.ids == ("train/0001TP_000000", "train/0001TP_000002")
    assert len(data.orphans) == 1


def test_other_size_unknown_label_and_truncated_files(tmp_path: Path) -> None:
    fabricate_camvid(tmp_path)
    write_labels(tmp_path / "trainannot" / "0001TP_000000.png", range(12), size=(10, 20))
    write_labels(tmp_path / "trainannot" / "0001TP_000001.png", range(13))
    truncate(tmp_path / "trainannot" / "0001TP_000002.png")
    truncate(tmp_path / "val" / "0001TP_000000.png")
    train, val = CamVid(tmp_path, "train"), CamVid(tmp_path, "val")
    with pytest.raises(
        InputError, match=r"trainannot/0001TP_000000.png: is 20x10, but its image .* is 32x24"
    ):
        train[0]
    with pytest.raises(InputError, match=r"trainannot/0001TP_000001.png: label id 12 "):
        train[1]
    with pytest.raises(InputError, match=r"trainannot/0001TP_000002.png: is truncated"):
        train[2]
    with pytest.raises(InputError, match=r"val/0001TP_000000.png: is truncated"):
        val[0]


@pytest.mark.realdata
def test_real_data() -> None:
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("TESSELLA_DATA is not set")
    root = Path(os.environ["TESSELLA_DATA"]) / "camvid"
    for split, count in {"train": 367, "val": 101, "test": 233}.items():
        data = CamVid(root, split)
        assert len(data) == count
        assert {split_of_frame(id_.split("/")[1]) for id_ in data.ids} == {split}
        sample = data[count // 2]
        assert sample.image.shape == (360, 480, 3)
        assert set(np.unique(sample.labels)) <= {*range(11), 255}
