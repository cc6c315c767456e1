import json
from pathlib import Path

import numpy as np
import pytest
from tests.datasets import fabricate

from tessella.datasets.ade20k import ADE20K
from tessella.datasets.bdd100k import BDD100K
from tessella.datasets.camvid import CamVid
from tessella.datasets.check import check, check_samples
from tessella.datasets.cityscapes import Cityscapes
from tessella.datasets.folders import Folders
from tessella.datasets.mapillary_vistas import MapillaryVistas
from tessella.datasets.nyudv2 import NYUDv2
from tessella.datasets.nyudv2_frames import NYUDv2Frames
from tessella.datasets.split_folders import SplitFolders
from tessella.datasets.sun3d import SUN3D
from tessella.datasets.synscapes import Synscapes
from tessella.errors import InputError


@pytest.mark.parametrize(
    ("dataset_class", "write"),
    [
        (ADE20K, fabricate.fabricate_ade20k),
        (BDD100K, fabricate.fabricate_bdd100k),
        (CamVid, fabricate.fabricate_camvid),
        (CamVid, fabricate.fabricate_camvid_published),
        (Cityscapes, fabricate.fabricate_cityscapes),
        (MapillaryVistas, fabricate.fabricate_mapillary_vistas),
        (NYUDv2, fabricate.fabricate_nyudv2),
        (NYUDv2Frames, fabricate.fabricate_nyudv2_frames),
        (SUN3D, fabricate.fabricate_sun3d),
        (Synscapes, fabricate.fabricate_synscapes),
    ],
)
def test_sound_data_sets_pass(tmp_path: Path, dataset_class: type, write) -> None:
    write(tmp_path)
    report = check(dataset_class, tmp_path, workers=1)
    assert report.ok, str(report)
    assert str(report).endswith("ok")


def break_camvid(root: Path) -> None:
    """One fault of each kind in train, and two in one sample of val."""
    fabricate.fabricate_camvid(root, count=6)
    images, labels = root / "train", root / "trainannot"
    (labels / "0001TP_000000.png").unlink()
    (images / "0001TP_000001.png").unlink()
    fabricate.write_labels(labels / "0001TP_000002.png", range(12), size=(10, 20))
    fabricate.write_labels(labels / "0001TP_000003.png", range(13))
    fabricate.truncate(images / "0001TP_000004.png")
    fabricate.truncate(root / "val/0001TP_000000.png")
    (root / "valannot/0001TP_000000.png").write_bytes(b"")


@pytest.mark.parametrize("workers", [1, 2])
def test_lists_everything_that_is_wrong(tmp_path: Path, workers: int) -> None:
    break_camvid(tmp_path)
    seen: list[tuple[str, int, int]] = []
    report = check(CamVid, tmp_path, workers=workers, progress=lambda *state: seen.append(state))
    assert not report.ok
    train, val = report.splits["train"], report.splits["val"]
    assert (train.images, train.labelled) == (4, 4)
    assert [line.split(": ")[1][:11] for line in train.orphans] == ["has no labe", "has no imag"]
    assert [line.split("/")[-1].split(",")[0] for line in train.problems] == [
        "0001TP_000002.png: is 20x10",
        "0001TP_000003.png: label id 12 is none of the data set's; fix the file or the list of classes",
        "0001TP_000004.png: is truncated",
    ]
    assert [Path(line.split(":")[0]).parent.name for line in val.problems] == ["val", "valannot"]
    assert report.splits["test"].problems == []
    assert ("train", 4, 4) in seen
    assert "3 problems" in str(report)
    assert str(report).endswith("5 problems, 2 orphans")
    assert json.loads(json.dumps(report.to_dict()))["ok"] is False


def test_a_damaged_neighbour_is_found(tmp_path: Path) -> None:
    fabricate.fabricate_nyudv2_frames(tmp_path, splits=("train",))
    fabricate.truncate(tmp_path / "train/kitchen_0001/00001_color.png")
    assert check(NYUDv2Frames, tmp_path, workers=1).ok
    report = check(NYUDv2Frames, tmp_path, workers=1, neighbours=(-1, 1))
    assert len(report.splits["train"].problems) == 1
    assert "00001_color.png" in report.splits["train"].problems[0]


def test_histogram_counts_pixels_and_images(tmp_path: Path) -> None:
    fabricate.fabricate_camvid(tmp_path, count=2)
    maps = [
        fabricate.write_labels(tmp_path / "trainannot/0001TP_000000.png", [0, 0, 1, 11]),
        fabricate.write_labels(tmp_path / "trainannot/0001TP_000001.png", [1, 2]),
    ]
    report = check(CamVid, tmp_path, splits=["train"], workers=1)
    split = report.splits["train"]
    pixels = np.bincount(np.concatenate(maps).ravel(), minlength=12)
    np.testing.assert_array_equal(split.pixels, pixels[:11])
    assert split.ignored == pixels[11]
    assert split.images_with_class.tolist() == [1, 2, 1] + [0] * 8
    assert split.sizes == {(24, 32): 2}
    assert report.to_dict()["splits"]["train"]["pixels_per_class"] == pixels[:11].tolist()
    line = next(line for line in str(report).splitlines() if line.startswith("building"))
    assert line.split() == ["building", f"{100 * pixels[1] / pixels[:11].sum():.3f}", "2"]


def test_absent_splits_are_no_fault_but_missing_labels_are(tmp_path: Path) -> None:
    fabricate.fabricate_cityscapes(tmp_path)
    report = check(Cityscapes, tmp_path, workers=1)
    assert report.ok
    assert report.absent == ["test", "train_extra"]
    (tmp_path / "gtFine/val").rename(tmp_path / "gtFine/validation")
    report = check(Cityscapes, tmp_path, workers=1)
    assert not report.ok
    assert "gtFine/val: no such folder" in report.splits["val"].problems[0]


def test_no_root_and_no_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        check(CamVid, tmp_path / "nowhere")
    with pytest.raises(InputError, match="test: no such folder"):
        check(CamVid, tmp_path)


def test_long_lists_are_cut_in_text_only(tmp_path: Path) -> None:
    fabricate.fabricate_camvid(tmp_path, count=30)
    for path in (tmp_path / "val").iterdir():
        fabricate.truncate(path)
    report = check(CamVid, tmp_path, splits=["val"], workers=1)
    assert "    and 10 more" in str(report)
    assert len(report.to_dict()["splits"]["val"]["problems"]) == 30


def test_one_data_set(tmp_path: Path) -> None:
    fabricate.fabricate_camvid(tmp_path)
    data = Folders(tmp_path / "train", tmp_path / "trainannot", classes=11, ignore_index=11)
    report = check_samples(data, workers=1)
    assert (report.images, report.problems) == (3, [])


def test_another_number_of_channels_than_most_images_have(tmp_path: Path) -> None:
    for split, channels in (("train", (3, 1, 3)), ("val", (1, 4))):
        for number, count in enumerate(channels):
            image = np.zeros((6, 5, count), np.uint8)
            (tmp_path / split / "images").mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / split / "images" / f"{number}.npy", image)
            fabricate.write_labels(tmp_path / split / "labels" / f"{number}.png", [0], size=(6, 5))
    (tmp_path / "classes.txt").write_text("a")
    np.save(tmp_path / "val" / "images" / "2.npy", np.zeros((6, 5, 3), np.uint8))
    fabricate.write_labels(tmp_path / "val" / "labels" / "2.png", [0], size=(6, 5))
    report = check(SplitFolders, tmp_path, workers=1)
    found = [line.split("/")[-3:] for split in report.splits.values() for line in split.problems]
    end = "where most images have 3; store it as they are"
    assert found == [
        ["train", "images", f"1.npy: has 1 channels {end}"],
        ["val", "images", f"0.npy: has 1 channels {end}"],
        ["val", "images", f"1.npy: has 4 channels {end}"],
    ]


def test_every_missing_label_of_split_folders(tmp_path: Path) -> None:
    for name in "abc":
        fabricate.write_image(tmp_path / "train" / "images" / f"{name}.png", 0)
    fabricate.write_labels(tmp_path / "train" / "labels" / "c.png", [0])
    (tmp_path / "classes.txt").write_text("a")
    train = check(SplitFolders, tmp_path, workers=1).splits["train"]
    assert [Path(line.split(":")[0]).name for line in train.orphans] == ["a.png", "b.png"]
    assert (train.images, train.problems) == (1, [])


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match=f"^workers is {workers}: give at least 1"):
        check(CamVid, tmp_path, workers=workers)
