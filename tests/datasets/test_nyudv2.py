import os
import pickle
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_nyudv2, fabricate_nyudv2_frames, truncate, write_labels

from tessella.datasets.file_dataset import MissingDepth
from tessella.datasets.kinect import (
    COLOR_CAMERA,
    DEPTH_CAMERA,
    ROTATION,
    TRANSLATION,
    camera_matrix,
    depth_from_color_camera,
)
from tessella.datasets.nyudv2 import NYUDv2
from tessella.datasets.nyudv2_classes import CLASSES, CLASSES_40, index_of_id40
from tessella.datasets.nyudv2_frames import NYUDv2Frames
from tessella.errors import InputError


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("nyudv2")
    return root, fabricate_nyudv2(root)


@pytest.mark.parametrize("classes", [40, 13, 4])
def test_labels_go_through_both_mappings(official: tuple[Path, np.ndarray], classes: int) -> None:
    root, id40_of_name = official
    data = NYUDv2(root, "test", classes=classes)
    assert data.ids == ("test/0002", "test/0004")
    with h5py.File(root / "nyu_depth_v2_labeled.mat") as file:
        names, image = file["labels"][1].T, file["images"][1].transpose(2, 1, 0)
    sample = data[0]
    np.testing.assert_array_equal(sample.image, image)
    assert (sample.labels[names == 0] == 255).all()
    expected = index_of_id40(classes)[id40_of_name[names[names > 0].astype(int) - 1]]
    np.testing.assert_array_equal(sample.labels[names > 0], expected)
    assert sample.labels.max() == 255
    assert len(np.unique(sample.labels)) == classes + 1
    assert sample.depth is None


def test_known_merges() -> None:
    def merged(name: str, classes: int) -> str:
        id_ = [label.name for label in CLASSES_40].index(name) + 1
        return CLASSES[classes][index_of_id40(classes)[id_]].name

    names = ("desk", "curtain", "floor mat", "television", "pillow", "night stand", "other structure", "door")
    assert [merged(name, 13) for name in names] == [
        "table",
        "window",
        "floor",
        "tv",
        "objects",
        "furniture",
        "objects",
        "wall",
    ]
    assert [merged(name, 4) for name in names] == [
        "furniture",
        "structure",
        "prop",
        "prop",
        "prop",
        "furniture",
        "structure",
        "structure",
    ]
    assert [len(CLASSES[count]) for count in (4, 13, 40)] == [4, 13, 40]


def test_depth_and_raw_neighbours(official: tuple[Path, np.ndarray]) -> None:
    root, _ = official
    sample = NYUDv2(root, "train", depth=True, neighbours=(-9, -1, 1))[0]
    with h5py.File(root / "nyu_depth_v2_labeled.mat") as file:
        np.testing.assert_array_equal(sample.depth, file["depths"][0].T)
    assert [frame.id for frame in sample.neighbours] == [
        "train/kitchen_0000/r-1001.5-77",
        "train/kitchen_0000/r-1003.5-77",
    ]
    depth = sample.neighbours[0].depth
    np.testing.assert_allclose(depth[200:300, 200:400], 351.3 / (1092.5 - 701), rtol=1e-3)


def test_missing_raw_frame_and_damaged_files(official: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    root, _ = official
    for path in root.glob("*.mat"):
        (tmp_path / path.name).symlink_to(path)
    with pytest.raises(InputError, match=r"raw/kitchen_0000/r-1002.5-77.ppm: no such frame"):
        NYUDv2(tmp_path, "train", neighbours=(1,))
    with pytest.raises(InputError, match="classes: 37"):
        NYUDv2(tmp_path, "train", classes=37)  # type: ignore[arg-type]
    (tmp_path / "splits.mat").unlink()
    with pytest.raises(InputError, match=r"splits.mat: is missing"):
        NYUDv2(tmp_path, "train")
    with pytest.raises(InputError, match=r"classMapping40.mat: is missing"):
        NYUDv2(tmp_path / "nowhere", "train")
    labelled = tmp_path / "nyu_depth_v2_labeled.mat"
    labelled.unlink()
    labelled.write_bytes((root / labelled.name).read_bytes())
    truncate(labelled)
    (tmp_path / "splits.mat").symlink_to(root / "splits.mat")
    with pytest.raises(InputError, match=r"nyu_depth_v2_labeled.mat: is missing or damaged"):
        NYUDv2(tmp_path, "train")


@pytest.mark.parametrize(("height", "width"), [(480, 640), (240, 320)])
def test_depth_is_seen_from_the_color_camera(height: int, width: int) -> None:
    """A measured block near the centre, where distortion is small, lands where it is projected."""
    disparity = np.full((height, width), 2047, np.uint16)
    top, left = height // 2 - 2, width // 2 - 10
    disparity[top : top + 5, left : left + 5] = 800
    seen = depth_from_color_camera(disparity)
    depth = 351.3 / (1092.5 - 800)
    point = depth * np.linalg.inv(camera_matrix(DEPTH_CAMERA, height, width)) @ [left + 2, top + 2, 1]
    column, row, scale = camera_matrix(COLOR_CAMERA, height, width) @ (ROTATION @ point + TRANSLATION)
    assert seen[round(row / scale), round(column / scale)] == pytest.approx(depth)
    assert 9 <= (seen > 0).sum() <= 25
    np.testing.assert_allclose(ROTATION @ ROTATION.T, np.eye(3), atol=1e-6)


def test_frames_as_plain_files(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path)
    ids = write_labels(tmp_path / "train/kitchen_0001/00002_label13.png", range(14))
    data = NYUDv2Frames(tmp_path, "train", depth=True, neighbours=(-2, 1, 3))
    assert data.ids == ("train/kitchen_0001/00002", "train/office_0002/00002")
    sample = data[0]
    np.testing.assert_array_equal(sample.labels, np.where(ids == 0, 255, ids.astype(int) - 1))
    assert sample.depth[0, 0] == 0
    np.testing.assert_allclose(sample.depth[1:], 65535 // 4 * 10 / 65535, rtol=1e-6)
    assert [frame.id[-5:] for frame in sample.neighbours] == ["00000", "00003"]
    assert sample.neighbours[0].labels is None
    assert len(NYUDv2Frames(tmp_path, "all")) == 4


def test_neighbours_are_read_when_asked_for_and_travel_between_processes(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("train",))
    (tmp_path / "train/kitchen_0001/00000_color.png").write_bytes(b"no picture")
    data = NYUDv2Frames(tmp_path, "train", neighbours=(-2, -1, 1))
    assert data.records[0].earlier == 2
    neighbours = pickle.loads(pickle.dumps(data[0])).neighbours
    assert len(neighbours) == 3
    assert [frame.id[-5:] for frame in neighbours[1:]] == ["00001", "00003"]
    with pytest.raises(InputError, match=r"00000_color\.png"):
        list(neighbours)


def test_a_video_of_one_frame_has_no_neighbours(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("train",), frames=1)
    assert len(NYUDv2Frames(tmp_path, "train", neighbours=(-1, 1))[0].neighbours) == 0


def test_frames_merge_40_classes_where_asked(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path, splits=("test",))
    for path in tmp_path.glob("test/*/*_label13.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"_label13\.png"):
        NYUDv2Frames(tmp_path, "test")
    ids = write_labels(tmp_path / "test/kitchen_0001/00002_label40.png", range(41))
    labels = NYUDv2Frames(tmp_path, "test", classes=4)[0].labels
    np.testing.assert_array_equal(labels, index_of_id40(4)[ids])


def test_frames_without_depth(tmp_path: Path) -> None:
    fabricate_nyudv2_frames(tmp_path)
    (tmp_path / "train/kitchen_0001/00000_depth_filled.png").unlink()
    with pytest.raises(InputError, match="00000_color"):
        NYUDv2Frames(tmp_path, "train", depth=True)
    for path in tmp_path.rglob("*_depth_filled.png"):
        path.unlink()
    with pytest.raises(MissingDepth):
        NYUDv2Frames(tmp_path, "train", depth=True)


@pytest.mark.realdata
def test_real_video() -> None:
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("TESSELLA_DATA is not set")
    root = Path(os.environ["TESSELLA_DATA"]) / "nyudv2_dining_room_0036"
    data = NYUDv2Frames(root, "all", depth=True, neighbours=range(-50, 51))
    assert data.ids == ("all/02080",)
    sample = data[0]
    assert len(sample.neighbours) == 100
    assert sample.image.shape == (480, 640, 3)
    assert set(np.unique(sample.labels)) <= {*range(13), 255}
    assert 0.5 < np.median(sample.depth) < 8
    stored = cv2.imread(str(root / "02080_depth_filled.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(sample.depth, stored / 6553.5, rtol=1e-5)
