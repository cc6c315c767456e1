"""The two adversaries of the thesis (section 7.2) on the models of a CamVid game: figures 7.11 and 7.12, and a table.

    tessella audit game camvid_game --data CAMVID --models 8 --out GAME
    tessella scenes render street --out STREETS --sequences train=300,val=300
    tessella train camvid_stranger --data STREETS --out STRANGER
    python benchmarks/adversaries.py GAME --data CAMVID --victims 0 1 2 --defences argmax gaussian=0.5
    python benchmarks/adversaries.py GAME --data STREETS --stranger STRANGER --defences argmax gaussian=0.5
    python benchmarks/adversaries.py GAME                       # the table of what is there
    python benchmarks/adversaries.py --figure RESULT OUT.png    # AUC against mean IoU, of what is there

A1 may query a victim and knows its network: half of the blocks that it was not trained on are the queries, and a shadow
is trained on the more confident half of these images, for as many steps as the victim, and for half as many; it is
tested on the victim's members and on those blocks of the others that are no queries. A2 has another network on other
data, rendered streets, and never asks; it is tested on all images. Each row is a file under ``results/adversaries/``;
what is there is not repeated. Defences are those behind which the game's models were asked; attackers do not know of
them.

The figure has a panel for each adversary: the AUC of images against the mean IoU that each defence leaves the victims
on images that they were not trained on, which is in RESULT, the ``game_result.json`` of a game asked behind these
defences. Of figures 7.5 and 7.6 the table has the precision at a recall of 0.8 alone: scores of images are not kept.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from tessella.datasets import Joined, Listed, SegmentationDataset
from tessella.membership_inference.black_box import checked
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.game import assess_game
from tessella.membership_inference.learned import Kind, matching_temperature, mean_confidence
from tessella.recipes.camvid import camvid_game
from tessella.reports.style import SERIES, SMALL, style_axes
from tessella.runs.asking import Kept, ask_all, fingerprint
from tessella.runs.audit import Victim
from tessella.runs.environment import environment, write_json
from tessella.runs.game import Draw, maps_file
from tessella.runs.game_attacks import read_game
from tessella.runs.learned import Shadow, attacker_of, scores_by, some
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_split
from tessella.runs.shadow_training import train_shadow
from tessella.training.fit import Machine

RESULTS = Path(__file__).parent / "results" / "adversaries"
SPLITS = ("train", "val", "test")
KINDS: tuple[Kind, ...] = ("posteriors", "loss")
STEPS = 1500
"""Of the attacker."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("game", type=Path, nargs="?")
    parser.add_argument("--figure", type=Path, nargs=2, metavar=("RESULT", "OUT.png"))
    parser.add_argument("--data", type=Path, help="CamVid, or with --stranger the rendered streets")
    parser.add_argument("--victims", type=int, nargs="+", help="those that A1 attacks")
    parser.add_argument("--steps", type=int, nargs="+", default=[1500, 750], help="of A1's shadows")
    parser.add_argument("--stranger", type=Path, help="A2's shadow")
    parser.add_argument("--defences", nargs="*", default=[])
    options = parser.parse_args()
    if options.figure:
        figure(json.loads(options.figure[0].read_text()), results(), options.figure[1])
        return
    if options.game is None:
        parser.error("give GAME or --figure")
    draw = read_game(options.game)[1]
    if options.stranger:
        shadow = stranger(options.stranger, options.data)
        every = range(len(draw.members))
        measure("A2", options.game, draw, dict.fromkeys(every, shadow), options.defences)
    elif options.data:
        for steps in options.steps:
            shadows = {v: dependent(options.game, draw, options.data, v, steps) for v in options.victims}
            measure(f"A1, {steps} steps", options.game, draw, shadows, options.defences)
    print(table())


def queries(draw: Draw, victim: int) -> np.ndarray:
    """[images]: every second of the blocks that a victim was not trained on."""
    outside = sorted(set(draw.block[~draw.members[victim] & (draw.block != DROPPED)]))
    return np.isin(draw.block, outside[::2])


def dependent(game: Path, draw: Draw, data: Path, victim: int, steps: int) -> Shadow:
    """The shadow that A1 trains for one victim."""
    source = game / f"model_{victim:02d}" / "checkpoints" / "last.ckpt"
    model = load_model(str(source))
    assert model.classes is not None
    out = game / "shadows" / f"{victim:02d}_{steps}"
    lists = out / "all"
    lists.mkdir(parents=True, exist_ok=True)
    chosen = [id_ for id_, which in zip(draw.ids, queries(draw, victim), strict=True) if which]
    (lists / "queries.txt").write_text("".join(f"{id_}\n" for id_ in chosen))
    config = camvid_game()
    config = replace(
        config,
        dataset=partial(Listed, dataset=config.dataset, lists=str(lists), of_splits=SPLITS),
        steps=steps,
        validate_every=steps,
        seed=1000 + victim,
    )
    known = Victim(model, str(source), [label.name for label in model.classes], fingerprint(model.network))
    if not (out / "trained").exists():
        train_shadow(config, "camvid_game", known, data, "queries", out, machine=Machine(progress=False))
        (out / "trained").touch()
    return asked(out, data, "members", "nonmembers")


def stranger(run: Path, data: Path) -> Shadow:
    """The shadow of A2."""
    return asked(run, data, "train", "val")


def asked(run: Path, data: Path, members: str, nonmembers: str) -> Shadow:
    """What a shadow says of its own images."""
    model = load_model(str(run / "checkpoints" / "last.ckpt"))
    assert model.config is not None
    sides: list[SegmentationDataset] = [
        open_split(model.config, data, name) for name in (members, nonmembers)
    ]
    kept = Kept(run / "own.jsonl", {"weights": fingerprint(model.network)})
    maps = run / "own.npy"
    ask_all(
        checked(model, len(sides[0].classes)), Joined(sides), kept, side="own", label_only=False, maps=maps
    )
    places = np.arange(sum(map(len, sides)))
    inside = len(sides[0])
    return Shadow(np.load(maps, mmap_mode="r"), places[:inside], places[inside:])


def measure(name: str, game: Path, draw: Draw, shadows: dict[int, Shadow], defences: Sequence[str]) -> None:
    """One file for each kind and defence: every victim attacked by what its shadow teaches."""
    torch.set_num_threads(1)
    for kind in KINDS:
        files = {
            d: RESULTS / f"{name}, {kind}{', ' if d else ''}{d}.json".replace(" ", "_")
            for d in ("", *defences)
        }
        missing = {defence: file for defence, file in files.items() if not file.exists()}
        if not missing:
            continue
        distinct = {id(shadow): shadow for shadow in shadows.values()}
        attackers = {key: attacker_of([shadow], kind, STEPS) for key, shadow in distinct.items()}
        for defence, file in missing.items():
            levels = {level: np.full(draw.members.shape, np.nan) for level in LEVELS}
            for victim, shadow in shadows.items():
                maps = np.load(maps_file(game, victim, defence), mmap_mode="r")
                usual = mean_confidence(some(shadow.maps))
                matching = matching_temperature(some(maps), usual)
                for aligned, temperature in (("", 1.0), ("aligned, ", matching)):
                    found = scores_by(attackers[id(shadow)], kind, maps, temperature)
                    levels[f"{aligned}image"][victim] = found.images
                    levels[f"{aligned}patch"][victim] = found.patches[:, found.patches.shape[1] // 2]
            write_json(file, row(name, kind, defence, draw, levels, list(shadows)))


LEVELS = ("image", "patch", "aligned, image", "aligned, patch")


def row(
    name: str, kind: str, defence: str, draw: Draw, levels: dict[str, np.ndarray], victims: list[int]
) -> dict[str, Any]:
    nothing = np.zeros(len(draw.ids), bool)
    asked_before = np.array([nothing if name == "A2" else queries(draw, victim) for victim in victims])
    found = {}
    for level, scores in levels.items():
        judged = np.where(asked_before, np.nan, scores[victims])
        assessed = assess_game(judged, draw.members[victims], draw.block)
        found[level] = {
            "auc": assessed.auc._asdict(),
            "aucs": list(assessed.aucs),
            "precision_at_recall_0.8": assessed.precision._asdict(),
            "true_positive_rate": {
                str(rate): None if e is None else e._asdict() for rate, e in assessed.true_positives.items()
            },
        }
    print(f"{name}, {kind}, {defence or 'no defence'}: {found['image']['auc']['value']:.3f}", flush=True)
    return {
        "adversary": name,
        "kind": kind,
        "defence": defence or "none",
        "victims": victims,
        "levels": found,
        **environment(),
    }


def table() -> str:
    lines = ["| adversary | sees | defence | victims | " + " | ".join(f"{level}: AUC" for level in LEVELS)]
    lines[0] += " | image: precision at recall 0.8 |"
    lines.append("|---" * (5 + len(LEVELS)) + "|")
    for result in results():
        areas = [result["levels"][level]["auc"] for level in LEVELS]
        cells = [f"{a['value']:.2f} ({a['low']:.2f} to {a['high']:.2f})" for a in areas]
        cells.append(f"{result['levels']['image']['precision_at_recall_0.8']['value']:.2f}")
        head = (result["adversary"], result["kind"], result["defence"], str(len(result["victims"])))
        lines.append("| " + " | ".join((*head, *cells)) + " |")
    return "\n".join(lines)


def results() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]


SHOWN = {"none": "none", "argmax": "argmax", "gaussian=0.5": "noise 0.5", "dropout=0.9": "dropout 0.9"}
"""Defences and what they are called in the figure."""

PANELS = {
    "A1: may ask, has the victim's network": {"A1, 1500 steps": "o", "A1, 750 steps": "s"},
    "A2: never asks, other network and data": {"A2": "o"},
}
"""By title: adversaries and their markers."""


def figure(game: dict[str, Any], found: list[dict[str, Any]], out: Path) -> None:
    drawn = Figure(figsize=(9.6, 4.2), layout="constrained")
    for axes, (title, markers) in zip(drawn.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
        style_axes(axes)
        series = [(name, kind) for name in markers for kind in KINDS]
        places: dict[str, float] = {}
        for result in found:
            if result["adversary"] not in markers:
                continue
            defence, name, kind = result["defence"], result["adversary"], result["kind"]
            places[defence] = mean_iou(game, defence, result["victims"])
            # Side by side: labels alone have the mean IoU of no defence.
            beside = 0.6 * (series.index((name, kind)) - (len(series) - 1) / 2)
            beside += 0.6 * (len(series) + 1) / 2 * ((defence == "none") - (defence == "argmax"))
            area = result["levels"]["image"]["auc"]
            spread = [[area["value"] - area["low"]], [area["high"] - area["value"]]]
            color = SERIES[KINDS.index(kind)]
            axes.errorbar(
                places[defence] + beside, area["value"], spread, fmt=markers[name], ms=5, lw=1, color=color,
                mfc="white" if markers[name] == "s" else color,
            )  # fmt: skip
        for defence, place in places.items():
            side = {"none": "left", "argmax": "right"}.get(defence, "center")
            gap = {"none": 0.3, "argmax": -0.3}.get(defence, 0.0)
            axes.text(place + gap, 0.415, SHOWN[defence], ha=side, fontsize=SMALL)
        for name, marker in markers.items():
            for kind, color in zip(KINDS, SERIES, strict=False):
                label = kind if len(markers) == 1 else f"{kind}, {name.removeprefix('A1, ')} of the shadow"
                mfc = "white" if marker == "s" else color
                axes.plot([], [], marker, ms=5, color=color, mfc=mfc, label=label)
        axes.axhline(0.5, color="0.6", lw=0.8, ls=":")
        axes.set_title(title, fontsize=SMALL + 2)
        axes.set_xlabel("Mean IoU of the victims on images that they were not trained on")
        axes.set_xlim(18, 54)
        axes.set_ylim(0.4, 1)
        axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    drawn.axes[0].set_ylabel("AUC of images, 95% interval")
    drawn.savefig(out, dpi=130, facecolor="white")


def mean_iou(game: dict[str, Any], defence: str, victims: list[int]) -> float:
    """In percent, of images that the victims were not trained on."""
    behind = game["checkpoints"]["last"] if defence == "none" else game["defences"][defence]
    return 100 * float(np.mean([behind["utility"][victim]["nonmembers"]["mean_iou"] for victim in victims]))


if __name__ == "__main__":
    main()
