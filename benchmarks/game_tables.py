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

from tessella.reports.tradeoff import Defended, draw_tradeoff

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
    points = []
    for name, row in behind(result, others).items():
        unaware = row["unaware"]["RMIA"]["value"] if "unaware" in row else None
        points.append(Defended(name, utility(row, "nonmembers"), row["attacks"]["RMIA"]["auc"], unaware))
    draw_tradeoff(points, "RMIA").savefig(out, dpi=130)


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
