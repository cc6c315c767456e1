"""Figures of the two adversaries, from the files of ``adversaries.py``.

    python benchmarks/adversary_figures.py tradeoff RESULT OUT.png
    python benchmarks/adversary_figures.py curves ADVERSARY OUT.png [--level patch]

"tradeoff" (7.11 and 7.12): the AUC of images against the mean IoU that each defence leaves the victims on images that
they were not trained on, which is in RESULT, the ``game_result.json`` of a game asked behind these defences. "curves"
(7.5 and 7.6): true against false positive rates, and precision against recall, of "A1, 1500 steps" or "A2", on images
or on the patch in the middle of each; blue who sees posteriors and labels, orange the loss, grey without a defence. The
attackers know of a defence where there is such a row.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adversaries import KINDS, results
from matplotlib.figure import Figure

from tessella.reports.attack_curves import draw_behind
from tessella.reports.style import SERIES, SMALL, style_axes

PANELS = {
    "A1, 1500 steps": "A1: may ask, has the victim's network",
    "A2": "A2: never asks, other network and data",
}

SHOWN = {
    "none": "none",
    "argmax": "argmax",
    "gaussian=0.5": "noise 0.5",
    "dropout=0.9": "dropout 0.9",
    "synfeat=0.95": "SynFeat 0.95",
}
"""Defences and what they are called here."""

ASIDE = {"none": 1.8, "argmax": -1.0}
"""Labels alone have the mean IoU of no defence: the two are drawn side by side."""


def tradeoff(result: Path, out: Path) -> None:
    game = json.loads(result.read_text())
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    series = [(kind, aware) for kind in KINDS for aware in (False, True)]
    for axes, (adversary, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
        style_axes(axes)
        places: dict[str, float] = {}
        for found in of(adversary):
            defence, kind, aware = found["defence"], found["kind"], found["aware"]
            places[defence] = mean_iou(game, defence, found["victims"])
            beside = 0.45 * (series.index((kind, aware)) - (len(series) - 1) / 2) + ASIDE.get(defence, 0)
            area, color = found["levels"]["image"]["auc"], SERIES[KINDS.index(kind)]
            spread = [[area["value"] - area["low"]], [area["high"] - area["value"]]]
            axes.errorbar(
                places[defence] + beside, area["value"], spread, fmt="o", ms=5, lw=1, color=color,
                mfc=color if aware else "white",
            )  # fmt: skip
        for number, (defence, place) in enumerate(sorted(places.items(), key=lambda item: item[1])):
            height = 0.415 + 0.025 * (number % 2)
            axes.text(place + ASIDE.get(defence, 0), height, SHOWN[defence], ha="center", fontsize=SMALL)
        axes.axhline(0.5, color="0.6", lw=0.8, ls=":")
        axes.set_title(title, fontsize=SMALL + 2)
        axes.set_xlabel("Mean IoU of the victims on images that they were not trained on")
        axes.set_xlim(18, 54)
        axes.set_ylim(0.4, 1)
    for kind, aware in series:
        color = SERIES[KINDS.index(kind)]
        label = f"{kind}, {'knows' if aware else 'does not know'} of the defence"
        axes.plot([], [], "o", ms=5, color=color, mfc=color if aware else "white", label=label)
    axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    figure.axes[0].set_ylabel("AUC of images, 95% interval")
    figure.savefig(out, dpi=130, facecolor="white")


def mean_iou(game: dict[str, Any], defence: str, victims: Sequence[int]) -> float:
    """In percent, of images that the victims were not trained on."""
    behind = game["checkpoints"]["last"] if defence == "none" else game["defences"][defence]
    return 100 * float(np.mean([behind["utility"][victim]["nonmembers"]["mean_iou"] for victim in victims]))


def curves(adversary: str, out: Path, level: str) -> None:
    rows = of(adversary)
    known = {found["defence"] for found in rows if found["aware"]}
    behind: dict[str, dict[str, Any]] = {}
    for defence, name in SHOWN.items():
        title = name if defence == "none" or defence in known else f"{name}, not known"
        for found in rows:
            if found["defence"] == defence and found["aware"] == (defence in known):
                behind.setdefault(title, {})[found["kind"]] = found["levels"][level]["curve"]
    sides = rows[0]["sides"]
    share = sides["members"] / sum(sides.values())
    draw_behind(behind, KINDS, share).savefig(out, dpi=100, facecolor="white")


def of(adversary: str) -> list[dict[str, Any]]:
    return [found for found in results() if found["adversary"] == adversary]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figures = parser.add_subparsers(dest="figure", required=True)
    of_all = figures.add_parser("tradeoff")
    of_all.add_argument("result", type=Path)
    of_all.add_argument("out", type=Path)
    of_one = figures.add_parser("curves")
    of_one.add_argument("adversary", choices=PANELS)
    of_one.add_argument("out", type=Path)
    of_one.add_argument("--level", choices=("image", "patch"), default="image")
    options = parser.parse_args()
    if options.figure == "tradeoff":
        tradeoff(options.result, options.out)
    else:
        curves(options.adversary, options.out, options.level)


if __name__ == "__main__":
    main()
