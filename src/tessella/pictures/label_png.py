"""Label maps as palette PNGs: the ids are the pixel values, and any viewer shows the colours."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image

from tessella.errors import InputError
from tessella.files import write_bytes
from tessella.pictures.label_map import Color, Palette


def save_label_png(
    path: str | os.PathLike[str],
    labels: Integer[np.ndarray, "height width"],
    palette: Palette,
    ignore_color: Color = (0, 0, 0),
) -> None:
    """Write labels 0 to 255 as an 8-bit palette PNG; a file that was there stays whole until the new one is.

    Labels without a colour in the palette, such as 255 for ignored pixels, are shown in `ignore_color`.
    """
    if labels.ndim != 2:
        raise InputError(f"labels for {os.fspath(path)} have shape {labels.shape}; give [height, width]")
    if labels.size and not 0 <= labels.min() <= labels.max() <= 255:
        raise InputError(
            f"labels for {os.fspath(path)} go from {labels.min()} to {labels.max()}; "
            "an 8-bit PNG holds 0 to 255"
        )
    colors = np.full((256, 3), ignore_color, dtype=np.uint8)
    given = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)
    colors[: len(given)] = given
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(colors.tobytes())

    content = BytesIO()
    picture.save(content, format="PNG")
    write_bytes(Path(path), content.getvalue())
