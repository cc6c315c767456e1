"""Label maps as colours, alone and over their image."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from tessella.errors import InputError

Color = tuple[int, int, int]
Palette = UInt8[np.ndarray, "classes 3"] | Sequence[Color]


def colorize(
    labels: Integer[np.ndarray, "height width"],
    palette: Palette,
    ignore_color: Color = (0, 0, 0),
    ignore_index: int = 255,
) -> UInt8[np.ndarray, "height width 3"]:
    """The palette's colour of each label.

    Raises InputError for a label that has no colour and is not ignored.
    """
    colors = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)
    ignored = labels == ignore_index
    without_color = labels[~ignored & ((labels < 0) | (labels >= len(colors)))]
    if without_color.size:
        raise InputError(
            f"label {without_color[0]} has no colour: the palette has {len(colors)}; "
            "give a colour for every class or map the label to ignore_index"
        )
    table = np.concatenate([colors, np.array([ignore_color], dtype=np.uint8)])
    return table[np.where(ignored, len(colors), labels)]


def contours(labels: Integer[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Pixels whose right or lower neighbour has another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def overlay(
    image: UInt8[np.ndarray, "height width 3"],
    labels: Integer[np.ndarray, "height width"],
    palette: Palette,
    opacity: float = 0.5,
    draw_contours: bool = True,
    ignore_index: int = 255,
) -> UInt8[np.ndarray, "height width 3"]:
    """The image tinted by its labels, with white lines where they change; ignored pixels keep the image."""
    if image.shape[:2] != labels.shape:
        raise InputError(
            f"image is {image.shape[1]}x{image.shape[0]}, its labels are {labels.shape[1]}x{labels.shape[0]} "
            "pixels; resize one to the other"
        )
    tint = colorize(labels, palette, ignore_index=ignore_index)
    mixed = np.round((1 - opacity) * image + opacity * tint).astype(np.uint8)
    picture = np.where((labels == ignore_index)[..., None], image, mixed)
    if draw_contours:
        picture[contours(labels)] = 255
    return picture
