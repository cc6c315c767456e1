from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import fabricate_lfw, random_face, write_pts

from tessella.datasets import LFW
from tessella.errors import InputError


def test_official_lists(tmp_path: Path) -> None:
    fabricate_lfw(tmp_path)
    assert LFW(tmp_path, "train").ids == ("train/Ann_Lee_0001", "train/Ann_Lee_0002", "train/Bo_0001")
    assert LFW(tmp_path, "test").ids == ("test/Cy_X_Z_0001",)


def test_crop_is_about_the_landmarks(tmp_path: Path) -> None:
    fabricate_lfw(tmp_path)
    points = random_face(0, 90, 150)
    points[0], points[1], points[2] = (89, 110), (189, 110), (140, 189)
    points[3] = (140, 89)  # a box of 100 x 100 pixels, so a crop of 130 x 130
    write_pts(tmp_path / "landmarks/Bo/Bo_0001.pts", points)
    pair = LFW(tmp_path, "train", size=130)[2]
    photo = np.asarray(Image.open(tmp_path / "lfw-deepfunneled/Bo/Bo_0001.jpg"))
    left = top = 74  # of a middle at 139.5, counted from the edge of the photo
    np.testing.assert_array_equal(pair.image, photo[top : top + 130, left : left + 130])
    np.testing.assert_allclose(pair.landmarks, points - [left, top], atol=1e-3)
    smaller = LFW(tmp_path, "train", size=65, sigma=1.0)[2]
    np.testing.assert_allclose(smaller.landmarks, (points - [left, top] + 0.5) / 2 - 0.5, atol=1e-3)


def test_black_outside_the_photo(tmp_path: Path) -> None:
    fabricate_lfw(tmp_path)
    points = random_face(0, 20, 80)
    points[0], points[1] = (-10, 40), (90, 40)
    write_pts(tmp_path / "landmarks/Bo/Bo_0001.pts", points)
    pair = LFW(tmp_path, "train", size=130)[2]
    assert not pair.image[:, :24].any()
    assert pair.image[60, 30:].any(axis=1).all()
    assert pair.landmarks is not None
    assert pair.landmarks.min() >= 0


def test_errors(tmp_path: Path) -> None:
    fabricate_lfw(tmp_path)
    (tmp_path / "landmarks/Ann_Lee/Ann_Lee_0002.pts").unlink()
    with pytest.raises(InputError, match=r"Ann_Lee_0002\.jpg: has no condition; add .*Ann_Lee_0002\.pts"):
        LFW(tmp_path, "train")
    data = LFW(tmp_path, "train", skip_orphans=True)
    assert data.ids == ("train/Ann_Lee_0001", "train/Bo_0001")
    assert len(data.orphans) == 1
    (tmp_path / "lfw-deepfunneled/Bo/Bo_0001.jpg").unlink()
    with pytest.raises(InputError, match=r"Bo_0001\.jpg: is listed in peopleDevTrain.txt but missing"):
        LFW(tmp_path, "train", skip_orphans=True)
    with pytest.raises(InputError, match="split 'val': LFW has train, test"):
        LFW(tmp_path, "val")
    (tmp_path / "peopleDevTest.txt").unlink()
    with pytest.raises(InputError, match=r"peopleDevTest.txt: is missing"):
        LFW(tmp_path, "test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no list of people"),
        ("2\nBo\t1\n", "names 1 people, not 2"),
        ("0\n", "names 0 people"),
        ("1\nBo 1\n", "is no list of people"),
        ("1\nBo\tone\n", "is no list of people"),
        ("1\nBo\t0\n", "names 1 people"),
    ],
)
def test_damaged_lists(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "peopleDevTrain.txt").write_text(text)
    with pytest.raises(InputError, match=f"peopleDevTrain.txt: {said}"):
        LFW(tmp_path, "train")
