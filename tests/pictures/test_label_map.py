import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pictures import colorize, comparison, contours, default_palette, difference, overlay

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
LABELS = np.array([[0, 0, 1], [2, 255, 1]], dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_every_label_gets_its_color(dtype: type) -> None:
    picture = colorize(LABELS.astype(dtype), PALETTE, ignore_color=(9, 9, 9))
    red, green, blue, ignored = [255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]
    assert picture.tolist() == [[red, red, green], [blue, ignored, green]]
    assert picture.dtype == np.uint8


def test_more_than_255_classes() -> None:
    labels = np.array([[0, 299, 65535]], dtype=np.uint16)
    palette = default_palette(300)
    assert np.array_equal(colorize(labels, palette, ignore_index=65535)[0], [*palette[[0, 299]], (0, 0, 0)])


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_without_color_is_named(label: int) -> None:
    labels = LABELS.astype(np.int64)
    labels[0, 0] = label
    with pytest.raises(InputError, match=f"label {label} has no colour: the palette has 3"):
        colorize(labels, PALETTE)


def test_contours_lie_where_a_right_or_lower_neighbour_differs() -> None:
    assert contours(LABELS).tolist() == [[True, True, False], [True, True, False]]
    assert not contours(np.zeros((4, 5), np.uint8)).any()


def test_overlay_mixes_and_leaves_ignored_pixels() -> None:
    image = np.full((2, 3, 3), 100, dtype=np.uint8)
    picture = overlay(image, LABELS, PALETTE, opacity=0.4, draw_contours=False)
    assert picture[0, 0].tolist() == [round(0.6 * 100 + 0.4 * 255), 60, 60]
    assert picture[1, 1].tolist() == [100, 100, 100]
    assert np.array_equal(overlay(image, LABELS, PALETTE, opacity=0, draw_contours=False), image)
    outlined = overlay(image, LABELS, PALETTE)
    assert (outlined[contours(LABELS)] == 255).all()
    assert (image == 100).all()


def test_overlay_needs_labels_of_the_size_of_the_image() -> None:
    with pytest.raises(InputError, match="image is 3x4, its labels are 3x2"):
        overlay(np.zeros((4, 3, 3), np.uint8), LABELS, PALETTE)


def test_difference_is_white_red_and_grey() -> None:
    prediction = np.array([[0, 1, 1], [2, 0, 0]], dtype=np.int64)
    white, red, grey = (255, 255, 255), (230, 30, 40), (150, 150, 150)
    expected = [[white, red, white], [white, grey, red]]
    assert np.array_equal(difference(prediction, LABELS), expected)
    with pytest.raises(InputError, match=r"\(2, 2\).*\(2, 3\)"):
        difference(prediction[:, :2], LABELS)


def test_comparison_shows_who_is_right() -> None:
    target = np.array([[1, 1, 1, 1, 255]], dtype=np.uint8)
    baseline = np.array([[1, 1, 0, 0, 0]], dtype=np.uint8)
    proposed = np.array([[1, 0, 1, 2, 0]], dtype=np.uint8)
    both, only_baseline, only_proposed, neither, ignored = comparison(baseline, proposed, target)[0].tolist()
    assert both == [255, 255, 255]
    assert only_baseline[0] > 200 > 100 > max(only_baseline[1:])  # red
    assert only_proposed[0] < 100 < 190 < min(only_proposed[1:])  # cyan
    assert neither == [0, 0, 0]
    assert len(set(ignored)) == 1


def test_default_palette_is_distinct_and_does_not_depend_on_the_number_of_classes() -> None:
    palette = default_palette(254)
    assert palette.shape == (254, 3)
    assert len({tuple(color) for color in palette.tolist()} | {(0, 0, 0), (255, 255, 255)}) == 256
    assert np.array_equal(default_palette(19), palette[:19])
    assert default_palette(0).shape == (0, 3)
