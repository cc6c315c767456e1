"""The page of features sampled from a generator."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.embed import inline_svg, thumbnail
from tessella.reports.files import OF_ANOTHER_SHAPE, read_arrays
from tessella.reports.page import save_page
from tessella.reports.style import INK, SERIES, SMALL, plain, style_axes

CLASSES = 4
"""Are drawn in a histogram, those of most places."""


def write_samples(folder: Path) -> Path:
    """``samples.html`` from what ``sample_features`` left in ``folder``; InputError where that is damaged."""
    file = folder / "scores.json"
    result = read_object(file, "sample again")
    kept = ("counts", "low", "high", "channels")
    counts, low, high, channels = read_arrays(folder / "histograms.npz", *kept, otherwise="sample again")
    try:
        names = [each["name"] for each in result["classes"]]
        shown = np.argsort(-counts[0, :, 0].sum(1), kind="stable")[:CLASSES]
        figure = draw_histograms(counts[:, shown], low, high, channels.tolist())
    except OF_ANOTHER_SHAPE as error:
        raise InputError(
            f"{file}, or histograms.npz beside it: is damaged ({error}); sample again"
        ) from error
    return save_page(
        "samples.html",
        folder / "samples.html",
        result=result,
        sheet=thumbnail(folder / "sheet.png", 2000),
        histograms=inline_svg(figure, "Histograms of channels by class"),
        drawn=[plain(names[index]) for index in shown],
        both=len(counts) > 1,
    )


def draw_histograms(counts: np.ndarray, low: np.ndarray, high: np.ndarray, channels: list[int]) -> Figure:
    """How a channel is distributed in each class (figure 6.5): of sampled features as lines, of images' own filled.

    counts: [1 or 2, K, C, bins].
    """
    figure = Figure(figsize=(7.6, 1.9 * -(-len(channels) // 2)), layout="constrained")
    figure.set_facecolor("none")
    bins = 64
    wide = counts.reshape(*counts.shape[:3], bins, -1).sum(4)
    panels = figure.subplots(-(-len(channels) // 2), 2, squeeze=False).flat
    for place, axes in enumerate(panels):
        style_axes(axes)
        axes.set_visible(place < len(channels))
        if place >= len(channels):
            continue
        edges = np.linspace(low[place], high[place], bins + 1)
        for source, of_source in enumerate(wide):
            for color, histogram in zip(SERIES, of_source[:, place], strict=False):
                shares = histogram / max(histogram.sum(), 1)
                if source == 0:
                    axes.stairs(shares, edges, color=color, linewidth=1.4)
                else:
                    axes.stairs(shares, edges, color=color, fill=True, alpha=0.25)
        occupied = np.flatnonzero(wide[:, :, place].sum((0, 1)) > 1e-3 * wide[:, :, place].sum())
        axes.set_xlim(edges[occupied.min(initial=bins)], edges[occupied.max(initial=0) + 1])
        axes.set_yticks([])
        axes.set_xticks([])
        axes.set_title(f"Channel {channels[place]}", loc="left", fontsize=SMALL, color=INK)
    return figure
