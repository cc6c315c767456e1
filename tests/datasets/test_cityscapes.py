import json
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_cityscapes, write_labels

from tessella.datasets import camvid
from tessella.datasets.cityscapes import CAMVID_MEMBERS, CLASSES, Cityscapes, CityscapesVideo
from tessella.errors import InputError

NAME = "aachen_000000_000019"


def test_each_of_the_34_ids(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    ids = write_labels(tmp_path / f"gtFine/train/aachen/{NAME}_gtFine_labelIds.png", range(34))
    labels = Cityscapes(tmp_path, "train")[0].labels
    names = {id_: CLASSES[labels[ids == id_][0]].name for id_ in range(34) if labels[ids == id_][0] != 255}
    assert names == {
        7: "road",
        8: "sidewalk",
        11: "building",
        12: "wall",
        13: "fence",
        17: "pole",
        19: "traffic light",
        20: "traffic sign",
        21: "vegetation",
        22: "terrain",
        23: "sky",
        24: "person",
        25: "rider",
        26: "car",
        27: "truck",
        28: "bus",
        31: "train",
        32: "motorcycle",
        33: "bicycle",
    }


def test_merge_to_camvid(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    ids = write_labels(tmp_path / f"gtFine/train/aachen/{NAME}_gtFine_labelIds.png", range(34))
    fine, merged = (Cityscapes(tmp_path, "train", classes=number) for number in (19, 11))
    assert merged.classes == camvid.CLASSES
    for id_ in range(34):
        name = "" if fine[0].labels[ids == id_][0] == 255 else CLASSES[fine[0].labels[ids == id_][0]].name
        expected = [i for i, label in enumerate(merged.classes) if name in CAMVID_MEMBERS[label.name]]
        assert np.unique(merged[0].labels[ids == id_]).tolist() == (expected or [255])
    members = [name for names in CAMVID_MEMBERS.values() for name in names]
    assert sorted(members) == sorted({label.name for label in CLASSES} - {"terrain"})
    with pytest.raises(InputError, match="Cityscapes has 19, or 11 merged to CamVid's labels"):
        Cityscapes(tmp_path, "train", classes=12)


def test_train_ids_are_read_where_they_are_alone(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path, count=1)
    folder = tmp_path / "gtFine/train/aachen"
    write_labels(folder / f"{NAME}_gtFine_labelTrainIds.png", [0])
    assert len(np.unique(Cityscapes(tmp_path, "train")[0].labels)) == 20
    (folder / f"{NAME}_gtFine_labelIds.png").unlink()
    ids = write_labels(folder / f"{NAME}_gtFine_labelTrainIds.png", [*range(19), 255])
    np.testing.assert_array_equal(Cityscapes(tmp_path, "train")[0].labels, ids)


def test_coarse_and_train_extra(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path, splits=("train", "train_extra"))
    assert "gtCoarse" in str(Cityscapes(tmp_path, "train", labels="coarse").records[0].labels)
    assert "gtCoarse" in str(Cityscapes(tmp_path, "train_extra").records[0].labels)
    assert "gtFine" in str(Cityscapes(tmp_path, "train").records[0].labels)
    with pytest.raises(InputError, match="labels: 'gtFine'"):
        Cityscapes(tmp_path, "train", labels="gtFine")  # type: ignore[arg-type]


def test_test_split_goes_without_labels(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path, splits=("test",))
    sample = Cityscapes(tmp_path, "test")[0]
    assert sample.labels is None
    assert sample.id == f"test/aachen/{NAME}"


def test_neighbours_are_in_temporal_order_and_clipped(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    data = Cityscapes(tmp_path, "train", neighbours=(2, -1, 9))
    frames = data[1].neighbours
    assert [frame.id for frame in frames] == [
        "train/aachen/aachen_000001_000018",
        "train/aachen/aachen_000001_000021",
    ]
    video = CityscapesVideo(tmp_path, "train")
    np.testing.assert_array_equal(frames[0].image, video[video.ids.index(frames[0].id)].image)
    with pytest.raises(InputError, match="no video frame at offsets"):
        Cityscapes(tmp_path, "train", neighbours=(9,))


def test_video(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    video = CityscapesVideo(tmp_path, "val")
    assert len(video) == 10
    assert video[0].labels is None
    assert len(CityscapesVideo(tmp_path, "val", neighbours=(-1, 1))[0].neighbours) == 1


def test_depth_is_baseline_times_focal_length_over_disparity(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    depth = Cityscapes(tmp_path, "val", depth=True)[0].depth
    assert depth.dtype == np.float32
    assert depth[0, 0] == 0
    np.testing.assert_allclose(depth[1:], 0.2 * 2000 / 50)


def test_depth_needs_disparity_and_camera(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    (tmp_path / f"camera/val/aachen/{NAME}_camera.json").write_text("{}")
    with pytest.raises(InputError, match=f"{NAME}_camera.json"):
        Cityscapes(tmp_path, "val", depth=True)[0]
    (tmp_path / f"disparity/val/aachen/{NAME}_disparity.png").unlink()
    with pytest.raises(InputError, match="has no depth"):
        Cityscapes(tmp_path, "val", depth=True)


def test_camera_of_frames_with_depth(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    data = Cityscapes(tmp_path, "val", depth=True, neighbours=(-1, 1))
    with pytest.raises(InputError, match=r"camera\.json: holds no .*intrinsic\.u0"):
        data.camera(data.records[0], 24, 32)
    camera = {"extrinsic": {"baseline": 0.2}, "intrinsic": {"fx": 5, "fy": 6, "u0": 7, "v0": 8}}
    (tmp_path / f"camera/val/aachen/{NAME}_camera.json").write_text(json.dumps(camera))
    assert data.camera(data.records[0], 24, 32).tolist() == [[5, 0, 7], [0, 6, 8], [0, 0, 1]]
    assert data.camera(data.records[0].neighbours[0], 24, 32) is None


def test_missing_label_map_and_folder(tmp_path: Path) -> None:
    fabricate_cityscapes(tmp_path)
    (tmp_path / f"gtFine/val/aachen/{NAME}_gtFine_labelIds.png").unlink()
    with pytest.raises(InputError, match=f"{NAME}_leftImg8bit.png: has no label map"):
        Cityscapes(tmp_path, "val")
    (tmp_path / "gtFine").rename(tmp_path / "gt")
    with pytest.raises(InputError, match="gtFine/train: no such folder"):
        Cityscapes(tmp_path, "train")
