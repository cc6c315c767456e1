import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import fabricate_helen, random_face, truncate, write_image, write_pts

from tessella.datasets import HelenFaces
from tessella.errors import InputError


def test_layout(tmp_path: Path) -> None:
    fabricate_helen(tmp_path)
    data = HelenFaces(tmp_path, "train")
    pair = data[1]
    assert data.ids == ("train/0_1", "train/1_1", "train/2_1")
    assert pair.id == data.ids[1]
    assert data.condition_channels == 68
    assert pair.condition.shape == (128, 128, 68)
    np.testing.assert_allclose(pair.landmarks, random_face(1, 0, 127), atol=1e-4)
    np.testing.assert_array_equal(pair.image, np.asarray(Image.open(tmp_path / "trainset/1_1.jpg")))
    columns, rows = np.floor(random_face(1, 0, 127) + 0.5).astype(int).T
    assert (pair.condition[rows, columns, np.arange(68)] == 1).all()
    assert pair.condition.sum() == 68


def test_other_size_and_gaussians(tmp_path: Path) -> None:
    fabricate_helen(tmp_path)
    pair = HelenFaces(tmp_path, "test", size=64, sigma=2.0)[0]
    assert pair.image.shape == (64, 64, 3)
    np.testing.assert_allclose(pair.landmarks, (random_face(0, 0, 127) + 0.5) / 2 - 0.5, atol=1e-4)
    assert pair.condition.sum() > 500


def test_mirror_twice(tmp_path: Path) -> None:
    fabricate_helen(tmp_path)
    data = HelenFaces(tmp_path, "train")
    twice = data.mirror(data.mirror(data[0]))
    np.testing.assert_array_equal(twice.condition, data[0].condition)
    np.testing.assert_allclose(twice.place, data[0].place, atol=1e-6)


def test_errors(tmp_path: Path) -> None:
    fabricate_helen(tmp_path)
    with pytest.raises(InputError, match="split 'val': HelenFaces has train, test"):
        HelenFaces(tmp_path, "val")
    with pytest.raises(InputError, match="size: is 0"):
        HelenFaces(tmp_path, "train", size=0)
    with pytest.raises(InputError, match="no such folder"):
        HelenFaces(tmp_path / "nowhere", "train")
    write_pts(tmp_path / "trainset/0_1.pts", np.full((68, 2), 128.0))
    with pytest.raises(InputError, match=r"0_1\.pts: landmark 0 at"):
        HelenFaces(tmp_path, "train")[0]
    truncate(tmp_path / "trainset/1_1.jpg")
    with pytest.raises(InputError, match=r"1_1\.jpg: is truncated"):
        HelenFaces(tmp_path, "train")[1]
    (tmp_path / "trainset/2_1.pts").unlink()
    with pytest.raises(InputError, match=r"2_1\.jpg: has no condition; add .*2_1\.pts"):
        HelenFaces(tmp_path, "train")
    data = HelenFaces(tmp_path, "train", skip_orphans=True)
    assert data.ids == ("train/0_1", "train/1_1")
    assert len(data.orphans) == 1


def test_no_landmarks_at_all(tmp_path: Path) -> None:
    write_image(tmp_path / "trainset/a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: has no condition"):
        HelenFaces(tmp_path, "train", skip_orphans=True)


@pytest.mark.realdata
def test_real_data() -> None:
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("TESSELLA_DATA is not set")
    root = Path(os.environ["TESSELLA_DATA"]) / "helen_faces128"
    for split, count in {"train": 870, "test": 330}.items():
        data = HelenFaces(root, split)
        assert len(data) == count
        for index in range(0, count, 40):
            pair = data[index]
            assert pair.landmarks is not None
            # The crop is about the middle of the landmarks' box; pixel 63.5 is the middle of 128.
            middle = (pair.landmarks.max(axis=0) + pair.landmarks.min(axis=0))[0] / 2
            assert middle == pytest.approx(63.5, abs=0.02)
            # Left in the picture is the person's right: jaw and eyes run from there.
            assert (pair.landmarks[[0, 36, 48], 0] < pair.landmarks[[16, 45, 54], 0]).all()
            mirror = data.mirror(pair).landmarks
            assert mirror is not None
            assert (mirror[[0, 36, 48], 0] < mirror[[16, 45, 54], 0]).all()
