"""One function per plot: data in, a matplotlib Figure out. Nothing here touches pyplot's global state."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tessella.datasets.sample import LabelClass
from tessella.reports.run import Boundaries, LearnedDilation, Reliability, Series
from tessella.reports.style import (
    INK,
    LINE,
    MUTED,
    PERCENT,
    SERIES,
    SMALL,
    SURFACE,
    figure_and_axes,
    label_steps,
    plain,
    series_color,
    style_axes,
)

# One hue of growing opacity shows on light and on dark paper; it grows fast at first, where confusions are.
_HEAT = ListedColormap([to_rgba(SERIES[0], (step / 255) ** 0.7) for step in range(256)])


def curves(lines: Sequence[Series | None], label: str, percent: bool = False) -> Figure:
    """Measurements over steps, a line for each series in the colours of ``SERIES``; None skips a colour."""
    figure, axes = figure_and_axes(3.8, 2.5) if len(lines) == 1 else figure_and_axes(5.2, 3.1)
    for index, series in enumerate(lines):
        if series is not None:
            style = "-" if index < len(SERIES) else "--"
            marker = "o" if len(series[0]) < 40 else None
            axes.plot(*series, style, color=series_color(index), linewidth=1.6, marker=marker, markersize=3)
    label_steps(axes, label)
    if percent:
        axes.yaxis.set_major_formatter(PERCENT)
    return figure


def loss_curve(training: Series, validation: Series | None = None) -> Figure:
    """The training loss as logged (pale) and smoothed, with the validation loss where it was measured."""
    figure, axes = figure_and_axes(3.8, 2.5)
    steps, loss = training
    every = -(-len(steps) // 2000)  # more points than pixels only make the page larger
    axes.plot(steps[::every], loss[::every], color=SERIES[0], linewidth=0.8, alpha=0.3)
    axes.plot(*smooth(training), color=SERIES[0], linewidth=1.8)
    if validation is not None:
        axes.plot(*validation, color=SERIES[1], linewidth=1.6, marker="o", markersize=3)
    finite = loss[np.isfinite(loss)]
    if finite.size:  # the first steps of a fresh network would flatten all others
        axes.set_ylim(0, 1.1 * np.quantile(finite, 0.99))
    label_steps(axes, "Loss")
    return figure


def smooth(series: Series) -> Series:
    """The mean over a centred window of a fortieth of the series, shorter at its ends; 1000 steps at most."""
    steps, values = series
    reach = len(values) // 80
    centres = np.linspace(0, len(values) - 1, min(len(values), 1000)).round().astype(int)
    return steps[centres], np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in centres])


def class_iou_bars(classes: Sequence[LabelClass], iou: Float[np.ndarray, " classes"], mean: float) -> Figure:
    """The IoU of each class in the class's colour, best first; a class without a value has a dash and no bar.

    More than 30 classes stand in two columns.
    """
    columns = np.array_split(
        np.argsort(-iou, kind="stable"), 1 if len(classes) <= 30 else 2
    )  # nan comes last
    figure = Figure(figsize=(5.2 * len(columns), 0.9 + 0.27 * len(columns[0])), layout="constrained")
    for axes, order in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        style_axes(axes, grid_axis="x")
        rows = np.arange(len(order))
        axes.barh(
            rows,
            np.nan_to_num(iou[order]),
            height=0.68,
            color=[tuple(channel / 255 for channel in classes[index].color) for index in order],
            edgecolor=MUTED,
            linewidth=0.5,
        )
        for row, index in enumerate(order):
            text = "–" if np.isnan(iou[index]) else f"{100 * iou[index]:.1f}"
            axes.text(1.1, row, text, ha="right", va="center", fontsize=SMALL, color=INK)
        if np.isfinite(mean):
            axes.axvline(mean, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0.8)
            axes.text(mean, -0.75, "mean", ha="center", va="bottom", fontsize=SMALL, color=MUTED)
        axes.set_yticks(rows, [plain(classes[index].name) for index in order])
        axes.set_ylim(len(columns[0]) - 0.4, -0.7)
        axes.set_xlim(0, 1.1)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PERCENT)
    return figure


def confusion_heatmap(
    classes: Sequence[LabelClass], confusion: Float[np.ndarray, "classes classes"]
) -> Figure:
    """The share of each ground-truth class (row) that was predicted as each class (column).

    Rows of classes that do not occur stay empty. With up to 20 classes, shares from half a percent on are
    written out.
    """
    count = len(classes)
    total = confusion.sum(1, keepdims=True)
    share = np.divide(confusion, total, out=np.full(confusion.shape, np.nan), where=total > 0)
    cell = 0.34 if count <= 20 else 0.2 if count <= 40 else 0.15
    names = [plain(entry.name) for entry in classes]
    margin = 0.5 + 0.075 * max((len(name) for name in names), default=0)
    figure, axes = figure_and_axes(cell * count + margin, cell * count + margin, grid_axis=None)
    axes.imshow(share, cmap=_HEAT, vmin=0, vmax=1, interpolation="none")
    if count <= 20:
        for row, column in np.argwhere(share >= 0.005):
            axes.text(
                column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=7,
                color=SURFACE if share[row, column] > 0.4 else INK,
            )  # fmt: skip
    size = SMALL if count <= 40 else 6.5
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    edges = np.arange(count + 1) - 0.5
    axes.hlines(edges, -0.5, count - 0.5, color=LINE, linewidth=0.5)
    axes.vlines(edges, -0.5, count - 0.5, color=LINE, linewidth=0.5)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("Prediction")
    axes.set_ylabel("Ground truth")
    return figure


def reliability_diagram(reliability: Reliability) -> Figure:
    """Accuracy against confidence (above) and the share of pixels (below) per confidence bin of equal width.

    A calibrated network lies on the diagonal; the gap in each filled bin is drawn as a bar.
    """
    figure = Figure(figsize=(3.8, 3.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    style_axes(above)
    style_axes(below)
    filled = np.isfinite(reliability.confidence) & np.isfinite(reliability.accuracy) & (reliability.count > 0)
    confidence, accuracy = reliability.confidence[filled], reliability.accuracy[filled]
    above.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    above.vlines(confidence, confidence, accuracy, color=SERIES[1], linewidth=5, alpha=0.35)
    above.plot(confidence, accuracy, color=SERIES[0], linewidth=1.6, marker="o", markersize=4)
    above.set_ylim(0, 1.03)
    above.set_ylabel("Accuracy")
    bins = len(reliability.count)
    share = reliability.count / max(reliability.count.sum(), 1)
    below.bar((np.arange(bins) + 0.5) / bins, share, width=0.8 / bins, color=SERIES[0], alpha=0.7)
    below.set_ylabel("Pixels")
    below.set_xlabel("Confidence")
    below.set_xlim(0, 1.02)
    for axis in (above.yaxis, below.yaxis, below.xaxis):
        axis.set_major_formatter(PERCENT)
    below.yaxis.set_major_locator(MaxNLocator(2))
    return figure


def boundary_curves(lines: Sequence[Boundaries | None]) -> Figure:
    """Precision over recall of boundaries, in the colours of ``SERIES``; None skips a colour (figure 3.9)."""
    figure, axes = figure_and_axes(3.8, 3.2)
    for index, curve in enumerate(lines):
        if curve is not None:
            style = "-" if index < len(SERIES) else "--"
            axes.plot(curve.recall, curve.precision, style, color=series_color(index), linewidth=1.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("Recall")
    axes.set_ylabel("Precision")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PERCENT)
    return figure


def image_iou_histogram(mean_iou: Float[np.ndarray, " images"]) -> Figure:
    """How many images reach which mean IoU."""
    figure, axes = figure_and_axes(3.8, 3.2)
    axes.hist(mean_iou[np.isfinite(mean_iou)], bins=25, range=(0, 1), color=SERIES[0], alpha=0.8, rwidth=0.85)
    axes.set_xlim(0, 1)
    axes.set_xlabel("Mean IoU of the image")
    axes.set_ylabel("Images")
    axes.xaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


def dilation_histograms(layers: Sequence[LearnedDilation]) -> Figure:
    """How many channels have which dilation factor: before training as a line, after it filled (figure 4.3).

    A panel for each layer; for each range where there are more than nine layers.
    """
    panels: dict[str, list[LearnedDilation]] = {}
    for layer in layers:
        title = layer.name if len(layers) <= 9 else "{:g} to {:g}".format(*layer.range)
        panels.setdefault(title, []).append(layer)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.4 * columns, 1.9 * rows), layout="constrained")
    figure.set_facecolor("none")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_visible(False)
    for axes, (title, members) in zip(figure.axes, panels.items(), strict=False):
        axes.set_visible(True)
        style_axes(axes)
        bins = np.linspace(*members[0].range, 31).tolist()
        initial, final = (
            np.concatenate([getattr(m, when) for m in members]) for when in ("initial", "final")
        )
        axes.hist(final, bins, color=SERIES[0], alpha=0.8)
        axes.hist(initial, bins, color=SERIES[1], histtype="step", linewidth=1.4)
        axes.set_ylim(0, 1.25 * max(1, np.histogram(final, bins)[0].max()))
        many = f", {len(members)} layers" if len(members) > 1 else ""
        axes.set_title(plain(title) + many, loc="left", fontsize=SMALL, color=INK)
        axes.text(
            1,
            1.02,
            f"mean {final.mean():.2f}",
            transform=axes.transAxes,
            ha="right",
            fontsize=SMALL,
            color=MUTED,
        )
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def class_iou_differences(names: Sequence[str], differences: Mapping[int, np.ndarray]) -> Figure:
    """What runs gain over another in the IoU of each class, sorted by the gain of the first of them.

    names: of the classes, K of them.
    differences: one vector [K] per run, whose key is its place in ``SERIES``.
    """
    order = np.argsort(-next(iter(differences.values())), kind="stable")
    height = 0.76 / len(differences)
    row_height = max(0.27, 0.13 * len(differences) + 0.06)
    figure, axes = figure_and_axes(5.2, 0.9 + len(names) * row_height, grid_axis="x")
    rows = np.arange(len(names))
    for place, (run, values) in enumerate(differences.items()):
        offset = (place - (len(differences) - 1) / 2) * height
        gain = 100 * np.nan_to_num(values[order])
        axes.barh(rows + offset, gain, height=0.9 * height, color=series_color(run))
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(rows, [plain(names[index]) for index in order])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("Percentage points of IoU")
    largest = max(float(np.nanmax(np.abs(values), initial=0)) for values in differences.values())
    axes.set_xlim(-110 * max(largest, 0.01), 110 * max(largest, 0.01))
    return figure
