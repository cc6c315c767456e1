"""Accuracy against diversity, and the best of n samples against n: figures 5.4 to 5.7 and 5.11 of the thesis.

    python benchmarks/image_figures.py helen64 OUT.png

from the files that ``image_table.py`` wrote; means over seeds.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from image_results import Result, judged, read, values  # beside this file
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tessella.reports.style import INK, SERIES, SMALL, style_axes

KINDS = ("CRN", "Separate", "Shared", "BicycleGAN", "PixelNN", "element-wise")
"""Each has a colour; without neighbours its line is dashed, and its dot hollow."""


def mean(results: list[Result], *names: str) -> np.ndarray:
    return np.mean(values(results, *names), 0)


def style_of(row: str) -> dict[str, Any]:
    kind = next(index for index, kind in enumerate(KINDS) if row.startswith(kind))
    plain = "neighbours" not in row and row.split("-")[0] in ("CRN", "Separate", "Shared")
    dashes = (0, (1, 1.5)) if row == "CRN-72" else (0, (4, 2)) if plain else "-"
    return {"color": SERIES[kind], "linestyle": dashes, "plain": plain}


def draw_best(axes: Axes, rows: dict[str, list[Result]]) -> None:
    for row, results in rows.items():
        style = style_of(row)
        errors = mean(results, "errors", "rmse", "best of first")
        numbers = np.arange(1, len(errors) + 1)
        axes.plot(
            numbers, errors, color=style["color"], linestyle=style["linestyle"], label=row, linewidth=1.4
        )
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_xlabel("Samples")
    axes.set_ylabel("RMSE of the best sample")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))  # room for the names
    axes.legend(fontsize=SMALL, facecolor="white", framealpha=0.9, edgecolor="none", labelcolor=INK)


def draw_tradeoff(axes: Axes, rows: dict[str, list[Result]]) -> None:
    places = {
        row: np.array([mean(judged(found), "diversity"), mean(found, "errors", "rmse", "best of first")[-1]])
        for row, found in rows.items()
        if judged(found)
    }
    for row, place in places.items():
        style = style_of(row)
        axes.plot(*place, "o", color=style["color"], mfc="none" if style["plain"] else style["color"], ms=6)
    axes.invert_yaxis()  # better is higher
    axes.margins(0.1)
    low, high = sorted(axes.get_ylim())
    names = sorted(places, key=lambda row: places[row][1])
    rooms = np.linspace(low, high, len(names) + 2)[1:-1]  # names in a column, so that none covers another
    for row, room in zip(names, rooms, strict=True):
        axes.annotate(
            row,
            tuple(places[row]),
            (1.03, room),
            textcoords=axes.get_yaxis_transform(),
            fontsize=SMALL,
            color=INK,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": "0.75",
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )
    axes.set_xlabel("Diversity")
    axes.set_ylabel("RMSE of the best sample")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    # Of one image, or nearly one, there is nothing to choose the best of.
    rows = {row: found for row, found in read(options.task).items() if row not in ("regression", "pix2pix")}
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    style_axes(left)
    style_axes(right)
    draw_best(left, rows)
    draw_tradeoff(right, rows)
    figure.set_facecolor("white")
    figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
