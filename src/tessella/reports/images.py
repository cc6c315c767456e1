"""The page of images sampled from a generator."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.embed import inline_svg, thumbnail
from tessella.reports.files import OF_ANOTHER_SHAPE
from tessella.reports.page import save_page
from tessella.reports.style import INK, MUTED, SERIES, SMALL, style_axes

MEASURES = {
    "rmse": "RMSE, of grey values 0 to 255",
    "ssim": "SSIM",
    "fsim": "FSIM",
    "landmarks": "Landmarks, summed distance in widths of the image",
    "normals": "Normals, mean angle in degrees",
    "labels": "Labels, share of pixels with another",
    "edges": "Edges, mean absolute error",
}

REAL = "of the real image"
"""Ends the names of what judges make of real images."""

JUDGED = ("best", "real images")
"""Whose normals have all six scores, once for all conditions."""


def write_image_samples(folder: Path) -> Path:
    """``samples.html`` from what ``sample_images`` left in ``folder``; InputError where that is damaged."""
    file = folder / "scores.json"
    result = read_object(file, "sample again")
    try:
        figure = draw_best(result) if result["errors"] else None
        means = result["means"]
        judged = {name: value for name, value in means.items() if not name.endswith(REAL)}
        of_real = {name.removesuffix(" " + REAL): means[name] for name in means if name.endswith(REAL)}
        normals = {
            of: _percent(result[f"normals of the {of}"]) for of in JUDGED if f"normals of the {of}" in result
        }
    except OF_ANOTHER_SHAPE as error:
        raise InputError(f"{file}: is damaged ({error}); sample again") from error
    strips = folder / "interpolation.png"
    return save_page(
        "images.html",
        folder / "samples.html",
        result=result,
        sheet=thumbnail(folder / "sheet.png", 2000),
        strips=thumbnail(strips, 2000) if strips.exists() else None,
        best=None
        if figure is None
        else inline_svg(figure, "Error of the best against the number of samples"),
        measures=MEASURES,
        variety=judged,
        of_real=of_real,
        normals=normals,
    )


def _percent(normals: dict[str, float]) -> list[float]:
    """Angles in degrees, then shares in percent, in the order of the page's columns."""
    angles = [normals[name] for name in ("mean", "median", "rmse")]
    return [*angles, *(100 * normals[name] for name in ("within_11_25", "within_22_5", "within_30"))]


def draw_best(result: dict[str, Any]) -> Figure:
    """The error of the best of the first m samples, a panel for each measure (figures 5.4 to 5.7)."""
    errors = result["errors"]
    columns = min(4, len(errors))
    figure = Figure(figsize=(2.1 * columns, 2 * -(-len(errors) // columns)), layout="constrained")
    figure.set_facecolor("none")
    panels: list[Axes] = list(figure.subplots(-(-len(errors) // columns), columns, squeeze=False).flat)
    for axes in panels[len(errors) :]:
        axes.set_visible(False)
    for axes, (name, found) in zip(panels, errors.items(), strict=False):
        style_axes(axes)
        values = found["best of first"]
        axes.plot(np.arange(1, len(values) + 1), values, color=SERIES[0], linewidth=1.6)
        axes.plot([1, len(values)], [found["mean"]] * 2, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if 0 < result["branches"] < len(values):
            axes.axvline(result["branches"], color=SERIES[1], linewidth=1, linestyle=(0, (1, 2)))
        axes.set_title(MEASURES[name].split(",")[0], loc="left", fontsize=SMALL, color=INK)
        axes.set_xlabel("Samples")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    return figure
