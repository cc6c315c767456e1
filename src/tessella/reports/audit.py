"""The page of a privacy audit."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.attack_curves import draw_curves
from tessella.reports.embed import inline_svg
from tessella.reports.files import OF_ANOTHER_SHAPE
from tessella.reports.page import flatten, save_page
from tessella.reports.style import PERCENT, SERIES, figure_and_axes

SHOWN = 5
"""Attacks whose curves are drawn: the best ones."""

CURVES = "True against false positive rate, and precision against recall, of the best attacks"


def write_audit(folder: Path) -> Path:
    """``audit.html`` from ``audit.json`` in ``folder``. InputError where that is missing or damaged."""
    file = folder / "audit.json"
    result = read_object(file, "run the audit again")
    try:
        attacks = sorted(result["attacks"].items(), key=_by_area, reverse=True)
        confidences = draw_confidences(*result["confidences"].values())
        share = result["images"]["members"] / (result["images"]["members"] + result["images"]["nonmembers"])
    except OF_ANOTHER_SHAPE as error:
        raise InputError(f"{file}: is damaged ({error}); run the audit again") from error
    drawn = [(name, attack) for name, attack in attacks if attack["auc"]][:SHOWN]
    shown = [(name, attack["roc"]) for name, attack in drawn]
    curves = inline_svg(draw_curves(shown, share), CURVES)
    return save_page(
        "audit.html",
        folder / "audit.html",
        result=result,
        attacks=attacks,
        curves=curves if drawn else "",
        drawn=[name for name, _ in drawn],
        confidences=inline_svg(confidences, "Histograms of the confidences of members and non-members"),
        environment=flatten(result["versions"]),
    )


def _by_area(entry: tuple[str, Any]) -> float:
    area = entry[1]["auc"]
    return -1.0 if area is None else float(area["value"])


def draw_confidences(members: list[int], nonmembers: list[int]) -> Figure:
    """Shares of the images of either side by their mean confidence (figure 7.7), where there are any."""
    figure, axes = figure_and_axes(7.6, 2.6)
    edges = np.linspace(0, 1, len(members) + 1)
    for counts, color in zip((members, nonmembers), SERIES, strict=False):
        shares = np.array(counts) / max(sum(counts), 1)
        axes.stairs(shares, edges, color=color, fill=True, alpha=0.25)
        axes.stairs(shares, edges, color=color, linewidth=1.6)
    occupied = np.flatnonzero(np.add(members, nonmembers))
    axes.set_xlim(
        edges[occupied.min(initial=len(members))] - 0.02, edges[occupied.max(initial=-1) + 1] + 0.02
    )
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_xlabel("Confidence, mean over the image")
    axes.set_ylabel("Images")
    return figure
