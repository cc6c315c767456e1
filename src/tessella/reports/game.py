"""The page of a membership game."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.attack_curves import draw_behind, draw_curves
from tessella.reports.audit import CURVES, draw_confidences
from tessella.reports.embed import inline_svg
from tessella.reports.files import OF_ANOTHER_SHAPE
from tessella.reports.page import flatten, save_page
from tessella.reports.style import INK, MUTED, SERIES, SMALL, figure_and_axes
from tessella.reports.tradeoff import Defended, draw_tradeoff

SHOWN = 5
"""Attacks whose curves are drawn: the best ones."""

LEARNED = "learned, posteriors"
COMPARED = ("RMIA", LEARNED)
"""Attacks whose curves are drawn behind each defence: the best that needs no training, and the thesis' own."""

BEHIND = "True against false positive rate, and precision against recall, behind each defence"
CONFIDENCES = "Histograms of the confidences of members and non-members"

NAMES = {"last": "last step", "best": "best on validation"}


def write_game(folder: Path) -> Path:
    """``game.html`` from ``game_result.json`` in ``folder``. InputError where that is missing or damaged."""
    file = folder / "game_result.json"
    result = read_object(file, "play the game again")
    try:
        checkpoints = result["checkpoints"]
        attacks = sorted(checkpoints["last"]["attacks"].items(), key=_area, reverse=True)
        defences = _defences(result)
    except OF_ANOTHER_SHAPE as error:
        raise InputError(f"{file}: is damaged ({error}); play the game again") from error
    drawn = [(name, attack["curve"]) for name, attack in attacks if "curve" in attack][:SHOWN]
    behind = curves_behind(result)
    confidences = checkpoints["last"].get("confidences")
    return save_page(
        "game.html",
        folder / "game.html",
        result=result,
        attacks=attacks,
        names=NAMES,
        curves=inline_svg(draw_curves(drawn, _share(result)), CURVES) if drawn else "",
        areas=inline_svg(draw_areas(checkpoints, [name for name, _ in attacks]), "AUC of every attack"),
        drawn=[name for name, _ in drawn],
        defences=defences,
        learned=LEARNED in defences[0]["attacks"],
        compared=_compared(defences),
        behind=inline_svg(behind, BEHIND) if behind else "",
        confidences=inline_svg(draw_confidences(*confidences.values()), CONFIDENCES) if confidences else "",
        similarity=float(np.mean(checkpoints["last"]["similarity_of_confidences"])),
        classes=sorted(result.get("classes", []), key=_area_of_class, reverse=True),
        tradeoff=inline_svg(_tradeoff(defences), "AUC against mean IoU") if len(defences) > 1 else "",
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


def _tradeoff(defences: list[dict[str, Any]]) -> Figure:
    points = [Defended(row["name"], 100 * row["utility"]["mean_iou"], row["best"]["auc"]) for row in defences]
    return draw_tradeoff(points, "the best attack")


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


def curves_behind(result: dict[str, Any]) -> Figure | None:
    """Of ``COMPARED`` behind each defence; None where there is no defence, or no curve."""
    defences = _defences(result)
    compared = _compared(defences)
    curves = {
        row["name"]: {attack: row["attacks"][attack]["curve"] for attack in compared} for row in defences
    }
    return draw_behind(curves, compared, _share(result)) if compared else None


def _share(result: dict[str, Any]) -> float:
    """Of members; of older results it is not told, and chance gives either side a half."""
    sides = result.get("sides", {"members": 1, "nonmembers": 1})
    return float(sides["members"] / sum(sides.values()))


def _compared(defences: list[dict[str, Any]]) -> list[str]:
    """Attacks that have a curve behind every defence, if there are any defences."""
    has = [
        attack for attack in COMPARED if all("curve" in row["attacks"].get(attack, {}) for row in defences)
    ]
    return has if len(defences) > 1 else []


def _area_of_class(row: dict[str, Any]) -> float:
    return -1.0 if row["auc"] is None else float(row["auc"]["value"])


def _area(entry: tuple[str, Any]) -> float:
    return float(entry[1]["auc"]["value"])
