"""Figures and pictures as parts of a page that refers to no other file."""

import base64
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from tessella.errors import InputError
from tessella.reports import style

_VARIABLES = {
    style.INK: "--ink",
    style.MUTED: "--muted",
    style.LINE: "--line",
    **{color: f"--series-{index + 1}" for index, color in enumerate(style.SERIES)},
}
_CSS_PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class PictureRow:
    """An image, and its pictures as data URIs by what they show."""

    id: str
    pictures: dict[str, str]
    caption: str = ""


def inline_svg(figure: Figure, description: str) -> Markup:
    """The figure as an ``<svg>`` element whose colours follow the page's CSS variables.

    Text stays text: readers can search and copy it, and it takes the page's font.
    """
    file = io.StringIO()
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tessella"}),
        warnings.catch_warnings(),
    ):
        # The browser draws the letters; what matplotlib's own font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = file.getvalue()
    svg = re.sub(
        r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL
    )  # leaks into the page
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)  # "axes_1" in every figure; references use hashes
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    width, height = figure.get_size_inches()
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]  # without the XML prologue and a size in points
    return Markup(
        f'<svg role="img" aria-label="{escape(description)}" viewBox="0 0 {72 * width:g} {72 * height:g}" '
        f'style="--natural-width: {_CSS_PIXELS_PER_INCH * width:.0f}px">{body}'
    )


def thumbnail(file: Path, width: int) -> str:
    """The picture as a data URI, at most ``width`` pixels wide: label maps lossless, photographs not."""
    return data_uri(Image.fromarray(read_picture(file)), width)


def read_picture(file: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture's colours; raises InputError for a file that holds none."""
    try:
        with Image.open(file) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three for broken files
        raise InputError(f"{file} cannot be read as a picture ({error}); evaluate the run again") from None


def data_uri(picture: Image.Image, width: int) -> str:
    """The picture itself as an address, at most ``width`` pixels wide: label maps lossless, photographs not."""
    flat = picture.getcolors(256) is not None
    if picture.width > width:
        size = (width, max(1, round(picture.height * width / picture.width)))
        picture = picture.resize(size, Image.Resampling.NEAREST if flat else Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "WEBP", lossless=flat, quality=80)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()
