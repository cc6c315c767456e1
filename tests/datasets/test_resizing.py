import numpy as np
import pytest

from tessella.datasets.resizing import Square, resized, resized_labels, resized_points


def test_square_around_a_box() -> None:
    assert Square.around((10, 20, 30, 30)) == Square(10, 15, 20)
    assert Square.around((10, 20, 30, 30), 1.5) == Square(5, 10, 30)
    assert Square.around((10.0, 20.0, 10.0, 20.0)).side == 1


def test_square_moves_into_the_picture_where_it_fits() -> None:
    assert Square(-3, 5, 10).moved_into(20, 20) == Square(0, 5, 10)
    assert Square(15, 12, 10).moved_into(20, 20) == Square(10, 10, 10)
    assert Square(-3, 5, 30).moved_into(40, 20) == Square(-3, 5, 30)
    assert Square(-3, 15, 30).moved_into(40, 20) == Square(-3, 10, 30)


@pytest.mark.parametrize("square", [Square(-3, -2, 8), Square(5, 4, 9), Square(2, 1, 3), Square(-50, 0, 4)])
@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
def test_cut_pixel_by_pixel(square: Square, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(1, 255, shape, np.uint8)
    found = square.cut(picture, outside=255)
    assert found.shape == (square.side, square.side, *shape[2:])
    for row in range(square.side):
        for column in range(square.side):
            y, x = row + square.top, column + square.left
            expected = picture[y, x] if 0 <= y < 7 and 0 <= x < 9 else 255
            assert np.all(found[row, column] == expected)


def test_shrinking_averages() -> None:
    picture = np.random.default_rng(0).uniform(0, 1, (12, 8, 3)).astype(np.float32)
    found = resized(picture, (4, 4))
    np.testing.assert_allclose(found, picture.reshape(4, 3, 4, 2, 3).mean(axis=(1, 3)), rtol=1e-5)


def test_labels_stay_labels() -> None:
    labels = np.array([[0, 9], [255, 3]], np.uint8)
    np.testing.assert_array_equal(resized_labels(labels, (4, 6)), labels.repeat(2, axis=0).repeat(3, axis=1))


def test_points_go_with_the_pixels_edges() -> None:
    corners = np.array([[-0.5, -0.5], [31.5, 23.5], [0, 0]], np.float32)
    found = resized_points(corners, (24, 32), (48, 16))
    np.testing.assert_allclose(found, [[-0.5, -0.5], [15.5, 47.5], [-0.25, 0.5]], atol=1e-6)
