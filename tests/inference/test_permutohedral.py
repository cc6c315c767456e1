import numpy as np
import pytest

from tessella.errors import InputError
from tessella.inference.permutohedral import PermutohedralFilter, _enclosing_simplices


def scattered(points: int, dimensions: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (points, dimensions)).astype(np.float32)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_corners_enclose_their_point(dimensions: int) -> None:
    features = scattered(200, dimensions) * 10
    corners, weights = _enclosing_simplices(features)
    assert weights.min() > -1e-5
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    last = -corners.sum(2, keepdims=True)
    full = np.concatenate([corners, last], axis=2)
    # Every corner is a lattice point: its coordinates agree modulo d + 1, with one remainder per corner.
    remainders = full % (dimensions + 1)
    assert (remainders == np.arange(dimensions + 1)[:, None]).all()
    # The weighted mean of the corners is the point itself, on the plane: distances between points survive.
    placed = np.einsum("nc,nci->ni", weights, full)
    scale = (dimensions + 1) * np.sqrt(2 / 3)
    np.testing.assert_allclose(
        np.linalg.norm(placed[1:] - placed[:-1], axis=1),
        scale * np.linalg.norm(features[1:] - features[:-1], axis=1),
        rtol=1e-3,
    )


@pytest.mark.parametrize(("dimensions", "closeness"), [(1, 0.99), (2, 0.99), (3, 0.98), (5, 0.95)])
def test_is_close_to_the_gaussian_between_all_points(dimensions: int, closeness: float) -> None:
    features = scattered(1000, dimensions)
    exact = np.exp(-0.5 * ((features[:, None] - features) ** 2).sum(2))
    lattice = PermutohedralFilter(features)(np.eye(1000, dtype=np.float32))
    assert np.corrcoef(exact.ravel(), lattice.ravel())[0, 1] > closeness


def test_is_symmetric_and_linear() -> None:
    features = scattered(150, 5)
    blur = PermutohedralFilter(features)
    kernel = blur(np.eye(150, dtype=np.float32))
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-6)
    values = scattered(150, 7)
    np.testing.assert_allclose(blur(values), kernel @ values, atol=1e-4)


def test_equal_points_get_equal_values() -> None:
    features = np.repeat(scattered(1, 5), 20, axis=0)
    result = PermutohedralFilter(features)(scattered(20, 2))
    np.testing.assert_allclose(result, np.repeat(result[:1], 20, axis=0), rtol=1e-5)


def test_points_beyond_counting_are_named() -> None:
    with pytest.raises(InputError, match=r"^theta: the Gaussian is too narrow"):
        PermutohedralFilter(scattered(10, 5) * 1e6)
