"""The page of a membership game."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tessella.errors import InputError
from tessella.reports.audit import draw_curves
from tessella.reports.embed import inline_svg
from tessella.reports.page import flatten, save_page
from tessella.reports.style import INK, MUTED, SERIES, SMALL, figure_and_axes

SHOWN = 5
"""Attacks whose curves are drawn: the best ones."""

NAMES = {"last": "last step", "best": "best on validation"}


def write_game(folder: Path) -> Path:
    """``game.html`` from ``game_result.json`` in ``folder``. InputError where that is missing or damaged."""
    file = folder / "game_result.json"
    try:
        result = json.loads(file.read_text())
        checkpoints = result["checkpoints"]
        attacks = sorted(checkpoints["last"]["attacks"].items(), key=_area, reverse=True)
        defences = _defences(result)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{file}: is missing or damaged ({error}); play the game again") from error
    drawn = attacks[:SHOWN]
    curves = draw_curves([(name, attack["curve"]) for name, attack in drawn])
    return save_page(
        "game.html",
        folder / "game.html",
        result=result,
        attacks=attacks,
        names=NAMES,
        curves=inline_svg(curves, "True against false positive rate of the best attacks"),
        areas=inline_svg(draw_areas(checkpoints, [name for name, _ in attacks]), "AUC of every attack"),
        drawn=[name for name, _ in drawn],
        defences=defences,
        learned="learned, posteriors" in defences[0]["attacks"],
        tradeoff=inline_svg(draw_tradeoff(defences), "AUC against mean IoU") if len(defences) > 1 else "",
        environment=flatten(result["versions"]),
    )


def draw_areas(checkpoints: dict[str, Any], order: list[str]) -> Figure:
    """The AUC of each attack with its interval, and of each victim, at each checkpoint."""
    figure, axes = figure_and_axes(7.6, 0.6 + 0.3 * len(order), grid_axis="x")
    for shift, color, (name, checkpoint) in zip((-0.14, 0.14), SERIES, checkpoints.items(), strict=False):
        for row, attack in enumerate(order):
            found = checkpoint["attacks"].get(attack)
            if found is None:
                continue
            y, area = row + shift, found["auc"]
            axes.scatter(found["aucs"], [y] * len(found["aucs"]), s=6, color=MUTED, alpha=0.5, linewidths=0)
            axes.plot([area["low"], area["high"]], [y, y], color=color, linewidth=1.4)
            axes.scatter(
                [area["value"]], [y], s=18, color=color, label=NAMES[name] if row == 0 else None, zorder=3
            )
    axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(np.arange(len(order)), order)
    axes.invert_yaxis()
    axes.set_xlabel("AUC")
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, loc="lower right")
    return figure


def draw_tradeoff(defences: list[dict[str, Any]]) -> Figure:
    """What a defence costs, and what an attacker who knows of it still finds (figures 7.11 and 7.12)."""
    figure, axes = figure_and_axes(5.2, 3.2)
    for row, color in zip(defences, SERIES, strict=False):
        area = row["best"]["auc"]
        place = 100 * row["utility"]["mean_iou"]
        axes.plot([place, place], [area["low"], area["high"]], color=color, linewidth=1.4)
        axes.scatter([place], [area["value"]], s=26, color=color)
        axes.annotate(
            row["name"], (place, area["value"]), (6, 4), textcoords="offset points", fontsize=SMALL, color=INK
        )
    axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.margins(x=0.2)
    axes.set_xlabel("Mean IoU of non-members")
    axes.set_ylabel("AUC of the best attack")
    return figure


def _defences(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Without any first; attacks that a defence was not asked by are left out of all, so that rows compare."""
    behind = {"none": result["checkpoints"]["last"], **result["defences"]}
    common = set.intersection(*(set(found["attacks"]) for found in behind.values()))
    rows = []
    for name, found in behind.items():
        attacks = {attack: row for attack, row in found["attacks"].items() if attack in common}
        best, described = max(attacks.items(), key=_area)
        each = [row["nonmembers"] for row in found["utility"]]
        rows.append(
            {
                "name": name,
                "utility": {score: float(np.mean([row[score] for row in each])) for score in each[0]},
                "best": {"name": best, **described},
                "attacks": attacks,
                "unaware": found.get("unaware"),
            }
        )
    return rows


def _area(entry: tuple[str, Any]) -> float:
    return float(entry[1]["auc"]["value"])
