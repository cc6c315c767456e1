from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import random_face, write_image, write_pts

from tessella.datasets.landmarks import MIRRORED_68, landmark_pair, mirrored_face, read_face, read_pts
from tessella.errors import InputError


def test_mirror_of_the_scheme_is_its_own_inverse() -> None:
    mirror = np.array(MIRRORED_68)
    np.testing.assert_array_equal(mirror[mirror], np.arange(68))
    # On the middle of a face: chin, bridge of the nose, its tip, lips above and below.
    assert np.flatnonzero(mirror == np.arange(68)).tolist() == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    # The corners of the eyes and the mouth, outer with outer, inner with inner.
    assert [mirror[i] for i in (36, 39, 37, 41, 48, 60, 0, 17, 21, 31)] == [
        45,
        42,
        44,
        46,
        54,
        64,
        16,
        26,
        22,
        35,
    ]


@pytest.mark.parametrize("first", [0.0, 0.5, 1.0])
def test_first_pixel(tmp_path: Path, first: float) -> None:
    points = random_face(0, 0, 99)
    write_pts(tmp_path / "a.pts", points, first)
    found = read_pts(tmp_path / "a.pts", first)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, points, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no .pts file"),
        ("version: 1\nn_points: 2\n{\n1 2\n", "does not hold 2 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n}\n", "does not hold 2 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 4\n", "does not hold 2 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 nan\n}\n", "does not hold 2 points"),
        ("version: 1\nn_points: 2\n{\n1 2\n3\n}\n", "is no .pts file"),
        ("version: 1\nn_points: two\n{\n1 2\n3 4\n}\n", "is no .pts file"),
        ("version: 1\nn_points: 0\n{\n}\n", "does not hold 0 points"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.pts").write_text(text)
    with pytest.raises(InputError, match=rf"a\.pts: {said}"):
        read_pts(tmp_path / "a.pts")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.pts: cannot be read"):
        read_pts(tmp_path / "a.pts")
    (tmp_path / "a.pts").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"a\.pts: cannot be read"):
        read_pts(tmp_path / "a.pts")


def test_faces_have_68(tmp_path: Path) -> None:
    write_pts(tmp_path / "a.pts", random_face(0, 0, 9, count=5))
    with pytest.raises(InputError, match="holds 5 landmarks; faces have the 68"):
        read_face(tmp_path / "a.pts")


@pytest.mark.parametrize("scale", [2, 0.5])
def test_landmarks_follow_the_image_when_it_is_resized(tmp_path: Path, scale: float) -> None:
    """A bright block of the image stays under its landmark, to a tenth of a pixel, also in the mirror."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:28, 8:16] = 255
    landmarks = np.tile(np.array([[11.5, 23.5]], np.float32), (68, 1))
    size = (int(64 * scale), int(64 * scale))
    pair = landmark_pair("a", image, landmarks, size, 0.0, Path("a.pts"))
    for each in (pair, mirrored_face(pair)):
        weight = each.image[..., 0].astype(float)
        rows, columns = np.indices(size)
        centre = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
        assert each.landmarks is not None
        np.testing.assert_allclose(each.landmarks[5], centre, atol=0.1)


def test_same_size_leaves_the_image(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    landmarks = random_face(0, 0, 23).astype(np.float32)
    pair = landmark_pair("a", image, landmarks, (24, 32), 1.0, Path("a.pts"))
    np.testing.assert_array_equal(pair.image, image)
    np.testing.assert_allclose(pair.landmarks, landmarks, atol=1e-5)
