import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pictures import contact_sheet, legend

BLUE = np.full((60, 80, 3), (0, 0, 200), np.uint8)
GREEN = np.full((30, 20, 3), (0, 200, 0), np.uint8)
RED = np.full((60, 80, 3), (200, 0, 0), np.uint8)


def pixels_of(sheet: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((sheet == color).all(axis=-1))


def test_pictures_keep_their_proportions_and_stand_in_a_grid() -> None:
    sheet = contact_sheet([[BLUE, GREEN], [None, RED]], height=60)
    blue, green, red = (pixels_of(sheet, color) for color in ((0, 0, 200), (0, 200, 0), (200, 0, 0)))
    assert (len(blue), len(green), len(red)) == (60 * 80, 60 * 40, 60 * 80)
    assert blue[0, 0] == green[0, 0] < red[0, 0]
    assert blue[0, 1] < green[0, 1] == red[0, 1]
    assert sheet.dtype == np.uint8


def test_text_is_drawn_and_takes_space_of_its_own() -> None:
    plain = contact_sheet([[BLUE, RED]], height=60)
    titled = contact_sheet([[BLUE, RED]], titles=["image", "truth"], labels=["test/0001"], height=60)
    assert titled.shape[0] > plain.shape[0]
    assert (plain.max(axis=-1) < 100).sum() == 0
    assert (titled.max(axis=-1) < 100).sum() > 100  # ink
    assert len(pixels_of(titled, (0, 0, 200))) == 60 * 80


def test_long_titles_are_shortened_to_their_column() -> None:
    sheet = contact_sheet([[BLUE, RED]], titles=["w" * 200], height=60)
    ink = np.argwhere(sheet.max(axis=-1) < 100)
    assert ink[:, 1].max() < pixels_of(sheet, (200, 0, 0))[:, 1].min()


def test_sheets_that_cannot_be() -> None:
    with pytest.raises(InputError, match="no pictures"):
        contact_sheet([])
    with pytest.raises(InputError, match="1 rows and 1 columns got 0 labels and 2 titles"):
        contact_sheet([[BLUE]], titles=["a", "b"])
    with pytest.raises(InputError, match="1 rows and 1 columns got 2 labels"):
        contact_sheet([[BLUE]], labels=["a", "b"])
    with pytest.raises(InputError, match=r"shape \(60, 80\) and dtype uint8"):
        contact_sheet([[BLUE[..., 0]]])


def test_legend_shows_every_color() -> None:
    classes = [(f"class {i}", (10 * i, 255 - 10 * i, 7)) for i in range(20)]
    wide, narrow = legend(classes, width=600), legend(classes, width=150)
    for _, color in classes:
        assert len(pixels_of(wide, color)) > 100
        assert len(pixels_of(narrow, color)) > 100
    assert narrow.shape[0] > wide.shape[0]
    assert (wide.shape[1], narrow.shape[1]) == (600, 150)
    with pytest.raises(InputError, match="no classes"):
        legend([])
