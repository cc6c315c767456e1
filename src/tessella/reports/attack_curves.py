"""Curves of attacks: what each threshold finds, and what it costs (figures 7.5 and 7.6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tessella.reports.style import INK, LINE, MUTED, SERIES, SMALL, plain, series_color, style_axes

Rates = Mapping[str, Any]
"""An attack's "false" and "true" positive rates, from the strictest threshold down."""

DASHED = (0, (4, 3))
LOWEST = 1e-3
"""Of logarithmic axes."""

COLUMNS = 5
"""Defences beside one another, at most."""


def precisions(
    curve: Rates, share: float
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Recall and precision at each point of a curve at which anything is called a member.

    share: of members among all images. Precision is their share among what is called a member.
    """
    false, true = np.array(curve["false"]), np.array(curve["true"])
    called = share * true + (1 - share) * false
    any_ = called > 0
    return true[any_], share * true[any_] / called[any_]


def draw_curves(curves: Sequence[tuple[str, Rates]], share: float) -> Figure:
    """Rates by name, on linear axes, on logarithmic ones, where the few images that are surely given away show, and as
    precision against recall. share: of members.
    """
    figure = Figure(figsize=(10.4, 3.4), layout="constrained")
    linear, logarithmic, precision = figure.subplots(1, 3)
    for axes, lowest in ((linear, 0.0), (logarithmic, LOWEST)):
        rate_axes(axes, lowest)
        axes.set_xlabel("Non-members called members")
        axes.set_ylabel("Members called members")
    precision_axes(precision, share)
    for color, (_, curve) in zip(SERIES, curves, strict=False):
        linear.plot(curve["false"], curve["true"], color=color, linewidth=1.6)
        # No line leads from a rate of 0, which is not on these axes.
        logarithmic.step(curve["false"], curve["true"], where="post", color=color, linewidth=1.6)
        precision.plot(*precisions(curve, share), color=color, linewidth=1.6)
    precision.set_xlabel("Members called members (recall)")
    precision.set_ylabel("Members among those called so (precision)")
    return figure


def draw_behind(
    behind: Mapping[str, Mapping[str, Rates]], attacks: Sequence[str], share: float, columns: int = COLUMNS
) -> Figure:
    """For each defence true against false positive rates on logarithmic axes, below them precision against recall.

    behind: curves by defence and attack, the first without any, which stays in grey behind the others. attacks: those
    that are drawn, in the colours of ``SERIES``.
    """
    without, *defences = behind
    bands = -(-len(defences) // columns)
    columns = -(-len(defences) // bands)
    figure = Figure(figsize=(0.4 + 2.2 * columns, 3.7 * bands), layout="constrained")
    cells = figure.subplots(2 * bands, columns, squeeze=False)
    for place in range(bands * columns):
        upper, lower = (cells[2 * (place // columns) + row, place % columns] for row in (0, 1))
        if place >= len(defences):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        defence = defences[place]
        rate_axes(upper, LOWEST)
        precision_axes(lower, share)
        for curves, grey in ((behind[without], True), (behind[defence], False)):
            for number, attack in enumerate(attacks):
                if attack not in curves:
                    continue
                color, width = (MUTED, 0.9) if grey else (series_color(number), 1.6)
                style = {"color": color, "linewidth": width, "alpha": 0.7 if grey else 1}
                upper.step(curves[attack]["false"], curves[attack]["true"], where="post", **style)
                lower.plot(*precisions(curves[attack], share), **style)
        upper.set_title(plain(defence), fontsize=SMALL + 1, color=INK)
        upper.set_xlabel("False positive rate")
        lower.set_xlabel("Recall")
        if place % columns == 0:
            upper.set_ylabel("True positive rate")
            lower.set_ylabel("Precision")
    return figure


def rate_axes(axes: Axes, lowest: float) -> None:
    """From ``lowest`` on, logarithmic unless it is 0, with what chance gives."""
    style_axes(axes)
    chance = np.geomspace(lowest, 1, 50) if lowest else np.array([0, 1])
    axes.plot(chance, chance, color=LINE, linewidth=1, linestyle=DASHED)
    if lowest:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.tick_params(which="minor", length=0)
    axes.set_xlim(lowest, 1)
    axes.set_ylim(lowest, 1)


def precision_axes(axes: Axes, share: float) -> None:
    """With the precision of whoever calls all images members."""
    style_axes(axes)
    axes.axhline(share, color=MUTED, linewidth=1, linestyle=DASHED)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
