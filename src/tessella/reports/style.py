"""Colours, sizes and axes that all plots share.

Text, lines and series use only the colours named here, so that a page can exchange them for its own in dark mode
(``tessella.reports.embed``).
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK = "#1b2431"
MUTED = "#687386"
LINE = "#e3e7ed"
SURFACE = "#fefefe"
SERIES = ("#2f6db5", "#d8702c", "#2a9a80", "#8a63c8", "#c44f8c", "#8c8529")
"""Told apart also by colour-blind readers, in this order."""

SMALL = 8.0
PERCENT = FuncFormatter(lambda value, position: f"{100 * value:.3g} %")


def series_color(index: int) -> str:
    """The colour of the run or line with this index; the seventh begins again."""
    return SERIES[index % len(SERIES)]


def figure_and_axes(width: float, height: float, grid_axis: str | None = "y") -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    style_axes(axes, grid_axis)
    return figure, axes


def style_axes(axes: Axes, grid_axis: str | None = "y") -> None:
    axes.set_facecolor("none")
    axes.figure.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(length=0, labelcolor=INK, labelsize=SMALL + 0.5, pad=5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=MUTED, fontsize=SMALL + 0.5)
    axes.set_axisbelow(True)
    if grid_axis is not None:
        axes.grid(axis=grid_axis, color=LINE, linewidth=0.8)  # type: ignore[arg-type]


def label_steps(axes: Axes, label: str) -> None:
    axes.set_xlabel("Step")
    axes.set_ylabel(label)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def plain(name: str) -> str:
    """A name as text for matplotlib, which reads what stands between two dollar signs as a formula."""
    return name.replace("$", r"\$")
