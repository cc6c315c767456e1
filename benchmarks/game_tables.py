"""Table 7.2 and figures 7.11 and 7.12 of the thesis, of games that were played (``tessella audit game``).

    python benchmarks/game_tables.py attacks RESULT
    python benchmarks/game_tables.py defences RESULT [NAME=RESULT ...]
    python benchmarks/game_tables.py utility RESULT [NAME=RESULT ...]
    python benchmarks/game_tables.py figure RESULT OUT.png [NAME=RESULT ...]

RESULT is a game's ``game_result.json``; NAME=RESULT another game of the same images, as one trained with differential
privacy, which stands among the defences. "attacks", "defences" and "utility" (the four scores of table 7.2, of images
that a model was not trained on, means over models) print Markdown. The figure has a dot for each
defence: how well others are segmented, and how well members are told from them, by who knows of the defence and who
does not.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tessella.reports.style import SERIES, SMALL, style_axes

Result = dict[str, Any]
AWARE = ("RMIA", "LiRA, several signals", "learned, posteriors", "loss", "correct")


def estimate(found: Result | None) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})" if found else ""


def attacks(result: Result) -> str:
    found = result["checkpoints"]["last"]["attacks"]
    rows = [
        "| attack | AUC | precision at recall 0.8 | TPR at 10% FPR | TPR at 1% FPR |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(found, key=lambda name: -found[name]["auc"]["value"]):
        row = found[name]
        cells = [row["auc"], row["precision"], *(row["true_positives"][rate] for rate in ("0.1", "0.01"))]
        rows.append(" | ".join([f"| {name}", *map(estimate, cells)]) + " |")
    return "\n".join(rows)


def behind(result: Result, others: dict[str, Result]) -> dict[str, Result]:
    """By name of the defence: what was attacked behind it."""
    rows = {"none": result["checkpoints"]["last"], **result["defences"]}
    return rows | {name: other["checkpoints"]["last"] for name, other in others.items()}


def utility(row: Result, side: str, score: str = "mean_iou") -> float:
    return 100 * float(np.mean([each[side][score] for each in row["utility"]]))


def defences(result: Result, others: dict[str, Result]) -> str:
    head = ["defence", "mean IoU of members", "of others", *AWARE]
    head += ["RMIA, unaware", "RMIA, TPR at 1% FPR", "confidences shared"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in behind(result, others).items():
        cells = [name, f"{utility(row, 'members'):.1f}", f"{utility(row, 'nonmembers'):.1f}"]
        cells += [
            estimate(row["attacks"][attack]["auc"] if attack in row["attacks"] else None) for attack in AWARE
        ]
        cells += [
            estimate(row.get("unaware", {}).get("RMIA")),
            estimate(row["attacks"]["RMIA"]["true_positives"]["0.01"]),
            f"{np.mean(row['similarity_of_confidences']):.0%}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def utilities(result: Result, others: dict[str, Result]) -> str:
    scores = ("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou")
    rows = [f"| defence | {' | '.join(scores)} |", "|---" * (len(scores) + 1) + "|"]
    for name, row in behind(result, others).items():
        cells = [f"{utility(row, 'nonmembers', score):.1f}" for score in scores]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def figure(result: Result, others: dict[str, Result], out: Path) -> None:
    drawn = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = drawn.subplots()
    style_axes(axes)
    rows = behind(result, others)
    places = {name: utility(row, "nonmembers") for name, row in rows.items()}
    best = max(places.values())
    height = 2.0
    below: list[tuple[float, float]] = []
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["attacks"]["RMIA"]["auc"]["value"]):
        place, aware = places[name], row["attacks"]["RMIA"]["auc"]
        spread = [[aware["value"] - aware["low"]], [aware["high"] - aware["value"]]]
        axes.errorbar(place, aware["value"], spread, fmt="o", color=SERIES[0], ms=5, lw=1)
        lowest = aware["low"]
        if "unaware" in row:
            axes.plot(place, row["unaware"]["RMIA"]["value"], "o", mfc="white", color=SERIES[1], ms=5)
            lowest = min(lowest, row["unaware"]["RMIA"]["value"])
        if best - place < 1:  # what costs nothing stands together: a column of names at the right
            height = min(aware["value"], height - 0.026)
            line = {"arrowstyle": "-", "color": "0.75", "lw": 0.6, "relpos": (0, 0.5)}
            where = {"xytext": (best + 1.5, height), "va": "center", "arrowprops": line}
            axes.annotate(name, (place, aware["value"]), fontsize=SMALL, **where)
            continue
        lowest -= 0.02
        while any(abs(place - x) < 5 and abs(lowest - y) < 0.03 for x, y in below):
            lowest -= 0.03
        below.append((place, lowest))
        axes.text(place, lowest, name, ha="center", va="top", fontsize=SMALL)
    axes.plot([], [], "o", color=SERIES[0], label="RMIA, by who knows of the defence, 95% interval")
    axes.plot([], [], "o", mfc="white", color=SERIES[1], label="RMIA, by who does not")
    axes.axhline(0.5, color="0.6", lw=0.8, ls=":")
    axes.set_xlabel("Mean IoU on images that were not trained on")
    axes.set_ylabel("AUC of the attack")
    axes.set_ylim(0.45, 1)
    axes.margins(x=0.2)
    axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    drawn.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["attacks", "defences", "utility", "figure"])
    parser.add_argument("result", type=Path)
    parser.add_argument(
        "more", nargs="*", help="OUT.png of the figure, and games of other trainings as NAME=RESULT"
    )
    options = parser.parse_args()
    result = json.loads(options.result.read_text())
    named = dict(each.split("=", 1) for each in options.more if not each.endswith(".png"))
    others = {name: json.loads(Path(file).read_text()) for name, file in named.items()}
    if options.what == "attacks":
        print(attacks(result))
    elif options.what == "defences":
        print(defences(result, others))
    elif options.what == "utility":
        print(utilities(result, others))
    else:
        figure(result, others, Path(next(each for each in options.more if each.endswith(".png"))))


if __name__ == "__main__":
    main()
