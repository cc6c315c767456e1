"""What a defence costs, and what an attacker still finds (figures 7.11 and 7.12)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from tessella.reports.style import INK, LINE, MUTED, SERIES, SMALL, figure_and_axes, plain


class Defended(NamedTuple):
    """mean_iou: of images that were not trained on, in percent. aware: AUC of who knows of the defence, with its
    interval ("value", "low", "high"). unaware: of who does not, None where there is none.
    """

    name: str
    mean_iou: float
    aware: dict[str, Any]
    unaware: float | None = None


def draw_tradeoff(defences: Sequence[Defended], attack: str) -> Figure:
    """A dot for each defence, named below it; those that cost nothing stand together, and are named in a column."""
    figure, axes = figure_and_axes(7.6, 4.2)
    most = max(each.mean_iou for each in defences)
    height = 2.0
    below: list[tuple[float, float]] = []
    for name, place, aware, unaware in sorted(defences, key=lambda each: -each.aware["value"]):
        axes.plot([place, place], [aware["low"], aware["high"]], color=SERIES[0], linewidth=1.4)
        axes.scatter([place], [aware["value"]], s=26, color=SERIES[0], zorder=3)
        lowest = aware["low"]
        if unaware is not None:
            axes.scatter([place], [unaware], s=22, facecolors="none", edgecolors=SERIES[1], zorder=3)
            lowest = min(lowest, unaware)
        if most - place > 1:
            lowest -= 0.015
            while any(abs(place - x) < 5 and abs(lowest - y) < 0.03 for x, y in below):
                lowest -= 0.01
            below.append((place, lowest))
            axes.text(place, lowest, plain(name), ha="center", va="top", fontsize=SMALL, color=INK)
        else:
            height = min(aware["value"], height - 0.03)
            line = {"arrowstyle": "-", "color": LINE, "relpos": (0, 0.5)}
            where = (most + 1.5, height)
            axes.annotate(
                plain(name),
                (place, aware["value"]),
                where,
                va="center",
                fontsize=SMALL,
                color=INK,
                arrowprops=line,
                zorder=1,
            )
    axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.margins(x=0.22)
    axes.set_xlabel("Mean IoU of non-members")
    axes.set_ylabel(f"AUC of {attack}")
    if any(each.unaware is not None for each in defences):
        axes.scatter([], [], s=26, color=SERIES[0], label="by who knows of the defence, 95% interval")
        axes.scatter([], [], s=22, facecolors="none", edgecolors=SERIES[1], label="by who does not")
        axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="upper left")
    return figure
