from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import write_image, write_labels

from tessella.datasets.conditions import (
    edge_map,
    encode_normals,
    heat_maps,
    one_hot,
    plain_labels,
    read_normals,
    require_condition,
    resized_normals,
)
from tessella.errors import InputError

FILE = Path("face.pts")


def test_one_pixel_a_landmark() -> None:
    landmarks = np.array([[0.0, 0.0], [2.4, 1.0], [2.6, 1.49], [-0.5, 3.49], [4.49, -0.49]])
    maps = heat_maps(landmarks, (4, 5), sigma=0, path=FILE)
    assert maps.shape == (4, 5, 5)
    assert maps.dtype == np.float32
    places = [tuple(np.argwhere(maps[..., i])[0]) for i in range(5)]
    assert places == [(0, 0), (1, 2), (1, 3), (3, 0), (0, 4)]
    assert (maps.sum(axis=(0, 1)) == 1).all()


def test_gaussian_about_the_exact_place() -> None:
    landmarks = np.array([[2.25, 1.5], [5.0, 4.0]])
    maps = heat_maps(landmarks, (6, 8), sigma=1.5, path=FILE)
    for which, (x, y) in enumerate(landmarks):
        for row in range(6):
            for column in range(8):
                expected = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 1.5**2))
                assert maps[row, column, which] == pytest.approx(expected, rel=1e-5)
    assert maps[4, 5, 1] == 1


@pytest.mark.parametrize("sigma", [0, 2.0])
@pytest.mark.parametrize("outside", [(-0.51, 1), (4.5, 1), (1, -0.6), (1, 3.5)])
def test_landmark_outside(sigma: float, outside: tuple[float, float]) -> None:
    landmarks = np.array([[1.0, 1.0], outside])
    with pytest.raises(InputError, match=r"face\.pts: landmark 1 at .* outside the 5x4 image"):
        heat_maps(landmarks, (4, 5), sigma=sigma, path=FILE)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_impossible_sigma(sigma: float) -> None:
    with pytest.raises(InputError, match="sigma: is"):
        heat_maps(np.zeros((1, 2)), (4, 4), sigma=sigma, path=FILE)


def test_normals_by_the_published_code(tmp_path: Path) -> None:
    picture = write_image(tmp_path / "a.png")
    picture[0, :5] = [[0, 0, 0], [127, 127, 127], [128, 128, 128], [127, 128, 128], [255, 255, 255]]
    Image.fromarray(picture).save(tmp_path / "a.png")
    normals = read_normals(tmp_path / "a.png")
    assert normals.dtype == np.float32
    assert not normals[0, :3].any()
    np.testing.assert_allclose(normals[0, 3:], picture[0, 3:] / 255 * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(normals[1:], picture[1:] / 255 * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("color", [(90, 110, 100), (240, 240, 250), (128, 128, 160)])
def test_a_photo_in_place_of_normals(tmp_path: Path, color: tuple[int, int, int]) -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:6] = color  # the black rest could be without normals
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: 100% of its pixels are no normals"):
        read_normals(tmp_path / "a.png")


def test_a_few_lengths_are_forgiven(tmp_path: Path) -> None:
    """As at the borders of objects in pictures that were made smaller."""
    picture = encode_normals(np.broadcast_to(np.array([0.6, 0, 0.8]), (10, 10, 3)))
    picture[:4] = (140, 128, 140)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.linalg.norm(read_normals(tmp_path / "a.png")[0, 0]) < 0.2


def test_normals_survive_the_file(tmp_path: Path) -> None:
    normals = np.random.default_rng(0).normal(size=(20, 30, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    normals[:4] = 0
    normals[5, :3] = np.eye(3)
    Image.fromarray(encode_normals(normals)).save(tmp_path / "a.png")
    found = read_normals(tmp_path / "a.png")
    assert not found[:4].any()
    np.testing.assert_allclose(found, normals, atol=1 / 255 + 1e-6)


def test_normals_need_8_bit_color(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.png", [1])
    with pytest.raises(InputError, match=r"a\.png: has 1 channels of 8 bits"):
        read_normals(tmp_path / "a.png")
    cv2.imwrite(str(tmp_path / "b.png"), np.ones((4, 4, 3), np.uint16))
    with pytest.raises(InputError, match=r"b\.png: has 3 channels of 16 bits"):
        read_normals(tmp_path / "b.png")


def test_resized_normals_are_unit_vectors_or_none() -> None:
    normals = np.zeros((4, 4, 3), np.float32)
    normals[:2, :2] = [0, 0.6, -0.8]
    normals[0, 0] = [0.6, 0, -0.8]
    normals[2, 2] = [0, 0, -1]  # a quarter of a pixel, which the other three quarters outvote
    found = resized_normals(normals, (2, 2))
    mean = (np.array([0.6, 0, -0.8]) + 3 * np.array([0, 0.6, -0.8])) / 4
    np.testing.assert_allclose(found[0, 0], mean / np.linalg.norm(mean), rtol=1e-5)
    assert not found[0, 1].any()
    assert not found[1].any()
    np.testing.assert_array_equal(resized_normals(normals, (4, 4)), normals)


def test_one_hot() -> None:
    labels = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)
    maps = one_hot(labels, 3)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps[0], np.eye(3))
    np.testing.assert_array_equal(maps[1], [[0, 0, 0], [0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("classes", [-1, 0, 1, 255])
def test_impossible_number_of_classes(classes: int) -> None:
    with pytest.raises(InputError, match=f"classes: {classes} given"):
        plain_labels(classes)


def test_edges_are_where_the_image_changes() -> None:
    image = np.full((20, 30, 3), 40, np.uint8)
    image[:, 15:] = 200
    edges = edge_map(image)
    assert edges.shape == (20, 30, 1)
    assert edges.dtype == np.float32
    assert set(np.unique(edges)) == {0, 1}
    columns = np.flatnonzero(edges[10, :, 0])
    assert columns.tolist() in ([14], [15])
    assert not edge_map(np.full((20, 30, 3), 90, np.uint8)).any()


def test_unknown_condition() -> None:
    with pytest.raises(InputError, match="condition 'depth': is not known; choose one of edges, normals"):
        require_condition("depth", ("edges", "normals"))
