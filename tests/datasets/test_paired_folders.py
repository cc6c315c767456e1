from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import fabricate_paired_folders, random_face, write_image, write_pts

from tessella.datasets import PairedFolders
from tessella.datasets.conditions import edge_map
from tessella.datasets.files import MissingSplit
from tessella.errors import InputError


def open_folders(root: Path, condition: str, **options: object) -> PairedFolders:
    classes = 5 if condition == "labels" else 0
    return PairedFolders(root, "train", condition=condition, **{"classes": classes, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "channels"), [("normals", 3), ("labels", 5), ("landmarks", 68), ("edges", 1)]
)
def test_every_condition(tmp_path: Path, condition: str, channels: int) -> None:
    fabricate_paired_folders(tmp_path, condition)
    image = write_image(tmp_path / "train/images/00001.png", 9)
    data = open_folders(tmp_path, condition)
    assert data.ids == ("train/00000", "train/00001", "train/00002")
    pair = data[1]
    assert pair.id == "train/00001"
    assert data.condition_channels == channels
    assert pair.condition.shape == (24, 32, channels)
    assert pair.condition.dtype == np.float32
    np.testing.assert_array_equal(pair.image, image)
    twice = data.mirror(data.mirror(pair))
    np.testing.assert_array_equal(twice.condition, pair.condition)
    np.testing.assert_array_equal(twice.image, image)
    larger = open_folders(tmp_path, condition, size=48)[1]
    assert larger.condition.shape == (48, 48, channels)
    assert larger.image.shape == (48, 48, 3)


def test_what_conditions_hold(tmp_path: Path) -> None:
    for condition in ("normals", "labels", "landmarks", "edges"):
        fabricate_paired_folders(tmp_path / condition, condition)
    files = {kind: tmp_path / kind / "train/conditions/00000.png" for kind in ("normals", "labels")}
    normals = open_folders(tmp_path / "normals", "normals")[0].condition
    np.testing.assert_allclose(normals, np.asarray(Image.open(files["normals"])) / 127.5 - 1, atol=1e-6)
    labels = open_folders(tmp_path / "labels", "labels")[0].condition
    ids = np.asarray(Image.open(files["labels"]))
    np.testing.assert_array_equal(labels.argmax(axis=2)[ids < 255], ids[ids < 255])
    assert not labels[ids == 255].any()
    pair = open_folders(tmp_path / "landmarks", "landmarks")[0]
    np.testing.assert_allclose(pair.landmarks, random_face(0, 0, 23), atol=1e-4)
    edges = open_folders(tmp_path / "edges", "edges")[0]
    np.testing.assert_array_equal(edges.condition, edge_map(edges.image))


def test_jpeg_images(tmp_path: Path) -> None:
    write_image(tmp_path / "train/images/a.jpg")
    assert len(open_folders(tmp_path, "edges")) == 1


@pytest.mark.parametrize(
    ("condition", "ending"), [("normals", "png"), ("labels", "png"), ("landmarks", "pts")]
)
def test_an_image_without_condition(tmp_path: Path, condition: str, ending: str) -> None:
    fabricate_paired_folders(tmp_path, condition)
    (tmp_path / f"train/conditions/00002.{ending}").unlink()
    with pytest.raises(
        InputError, match=rf"images/00002\.png: has no condition; add .*conditions/00002\.{ending}"
    ):
        open_folders(tmp_path, condition)


def test_sizes(tmp_path: Path) -> None:
    fabricate_paired_folders(tmp_path, "normals")
    write_image(tmp_path / "train/images/00001.png", size=(24, 30))
    with pytest.raises(InputError, match=r"00001\.png: is 30x24, but 00000\.png is 32x24; .* give size"):
        open_folders(tmp_path, "normals")[1]
    with pytest.raises(
        InputError, match=r"conditions/00001\.png: is 32x24, but its image 00001\.png is 30x24"
    ):
        open_folders(tmp_path, "normals", size=24)[1]


def test_bad_arguments(tmp_path: Path) -> None:
    fabricate_paired_folders(tmp_path, "labels")
    with pytest.raises(
        InputError, match="condition 'depth': is not known; choose one of edges, labels, landmarks"
    ):
        open_folders(tmp_path, "depth")
    with pytest.raises(InputError, match="classes: 0 given"):
        PairedFolders(tmp_path, "train", condition="labels")
    with pytest.raises(InputError, match="size: is 0"):
        open_folders(tmp_path, "labels", size=0)
    with pytest.raises(InputError, match=r"label id 4 "):
        PairedFolders(tmp_path, "train", condition="labels", classes=4)[0]
    with pytest.raises(MissingSplit, match="no such folder"):
        PairedFolders(tmp_path, "val", condition="edges")


def test_other_landmarks_are_read_but_not_mirrored(tmp_path: Path) -> None:
    fabricate_paired_folders(tmp_path, "landmarks")
    for i in range(3):
        write_pts(tmp_path / f"train/conditions/{i:05}.pts", random_face(i, 0, 23, count=5))
    data = open_folders(tmp_path, "landmarks")
    assert data.condition_channels == 5
    with pytest.raises(InputError, match="5 landmarks: cannot be mirrored"):
        data.mirror(data[0])
    write_pts(tmp_path / "train/conditions/00001.pts", random_face(1, 0, 23, count=6))
    with pytest.raises(InputError, match=r"00001\.pts: holds 6 landmarks, the first file 5"):
        data[1]
