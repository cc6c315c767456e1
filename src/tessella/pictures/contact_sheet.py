"""Many pictures on one sheet, and the legend of a label space."""

from collections.abc import Sequence
from itertools import zip_longest

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from tessella.errors import InputError
from tessella.pictures.label_map import Color

_INK = (30, 30, 30)
_PAPER = (236, 236, 236)
_GAP = 6
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "height width 3"] | None]],
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
    height: int = 240,
    text_size: int = 16,
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Rows of pictures, each `height` pixels high, with titles above the columns and a label above each row.

    A cell may be None and stays empty. Text that does not fit is shortened with an ellipsis.
    """
    num_columns = max((len(row) for row in rows), default=0)
    if num_columns == 0:
        raise InputError("contact sheet has no pictures; give at least one row with one picture")
    if len(titles) > num_columns or (labels and len(labels) != len(rows)):
        raise InputError(
            f"contact sheet of {len(rows)} rows and {num_columns} columns got {len(labels)} labels and "
            f"{len(titles)} titles; give one label per row and at most one title per column"
        )
    cells = [[_at_height(picture, height) for picture in row] for row in rows]
    widths = [
        max((picture.shape[1] for picture in column if picture is not None), default=height)
        for column in zip_longest(*cells)
    ]
    lefts = [_GAP + sum(widths[:i]) + i * _GAP for i in range(num_columns)]
    line = text_size * 3 // 2
    top = _GAP + (line if titles else 0)
    row_height = height + _GAP + (line if labels else 0)

    sheet = Image.new("RGB", (lefts[-1] + widths[-1] + _GAP, top + len(rows) * row_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(text_size)
    for left, width, title in zip(lefts, widths, titles, strict=False):
        _write(draw, font, title, left, _GAP, width)
    for number, row in enumerate(cells):
        if labels:
            _write(draw, font, labels[number], _GAP, top, sheet.width - 2 * _GAP)
        for left, picture in zip(lefts, row, strict=False):
            if picture is not None:
                sheet.paste(Image.fromarray(picture), (left, top + (line if labels else 0)))
        top += row_height
    return np.asarray(sheet).copy()


def legend(
    classes: Sequence[tuple[str, Color]], width: int = 800, text_size: int = 16
) -> UInt8[np.ndarray, "height width 3"]:
    """Names beside their colours, as many in a line as `width` pixels hold; a `LabelClass` is such a pair."""
    if not classes:
        raise InputError("legend has no classes; give at least one name and colour")
    font = ImageFont.load_default(text_size)
    line = text_size * 3 // 2
    swatch = text_size
    longest = max(int(font.getlength(name)) + 1 for name, _ in classes)
    column = min(swatch + _GAP + longest + 3 * _GAP, width - 2 * _GAP)
    per_line = max((width - 2 * _GAP) // column, 1)
    num_lines = -(-len(classes) // per_line)

    picture = Image.new("RGB", (width, num_lines * line + 2 * _GAP), _PAPER)
    draw = ImageDraw.Draw(picture)
    for number, (name, color) in enumerate(classes):
        left = _GAP + number % per_line * column
        top = _GAP + number // per_line * line
        draw.rectangle((left, top + 2, left + swatch, top + 2 + swatch), fill=tuple(color), outline=_INK)
        _write(draw, font, name, left + swatch + _GAP, top, column - swatch - 2 * _GAP)
    return np.asarray(picture).copy()


def _at_height(picture: np.ndarray | None, height: int) -> np.ndarray | None:
    if picture is None:
        return None
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
        raise InputError(
            f"picture has shape {picture.shape} and dtype {picture.dtype}; turn it into uint8 RGB first"
        )
    if picture.shape[0] == height:
        return picture
    width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
    method = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_NEAREST
    return cv2.resize(picture, (width, height), interpolation=method)


def _write(draw: ImageDraw.ImageDraw, font: Font, text: str, left: int, top: int, width: int) -> None:
    shown = text
    while shown and font.getlength(shown) > width:
        shown = shown.removesuffix("…")[:-1] + "…" if shown != "…" else ""
    draw.text((left, top), shown, fill=_INK, font=font)
