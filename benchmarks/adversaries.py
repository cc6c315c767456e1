"""The two adversaries of the thesis (section 7.2) on the models of a CamVid game, and a table.

    tessella audit game camvid_game --data CAMVID --models 8 --out GAME
    tessella scenes render street --out STREETS --sequences train=300,val=300
    tessella train camvid_stranger --data STREETS --out STRANGER
    python benchmarks/adversaries.py GAME --data CAMVID --victims 0 1 2 --defences argmax gaussian=0.5 --aware argmax
    python benchmarks/adversaries.py GAME --data STREETS --stranger STRANGER --defences argmax gaussian=0.5
    python benchmarks/adversaries.py                            # the table of what is there

A1 may query a victim and knows its network: half of the blocks that it was not trained on are the queries, and a shadow
is trained on the more confident half of these images, for as many steps as the victim, and for half as many; it is
tested on the victim's members and on those blocks of the others that are no queries. A2 has another network on other
data, rendered streets, and never asks; it is tested on all images. Each row is a file under ``results/adversaries/``;
what is there is not repeated.

"--defences" are those behind which the game's models were asked, and of which the attackers do not know. Of those of
"--aware" they do: their attack is trained on what their own shadow says behind the same defence. For SynFeat a shadow
needs a generator of its own, in its folder: tessella train features --network SHADOW --out SHADOW/generator.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tessella.datasets import Joined, Listed, SegmentationDataset
from tessella.files import write_json
from tessella.membership_inference.black_box import checked
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.game import assess_game
from tessella.membership_inference.learned import Attacker, Kind, matching_temperature, mean_confidence
from tessella.recipes.camvid import camvid_game
from tessella.runs.asking import Kept, ask_all, fingerprint, fingerprint_of
from tessella.runs.audit import Victim
from tessella.runs.defended import defended
from tessella.runs.environment import environment
from tessella.runs.game import Draw, maps_file
from tessella.runs.game_attacks import read_game
from tessella.runs.learned import Shadow, attacker_of, kept_attacker, scores_by, some
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_split
from tessella.runs.shadow_training import train_shadow
from tessella.training.machine import Machine

RESULTS = Path(__file__).parent / "results" / "adversaries"
SPLITS = ("train", "val", "test")
KINDS: tuple[Kind, ...] = ("posteriors", "loss")
STEPS = 1500
"""Of the attacker."""


@dataclass(frozen=True)
class Adversary:
    """runs: of the shadow for each victim. data, members, nonmembers: the shadow's data, and its two splits."""

    name: str
    runs: dict[int, Path]
    data: Path
    members: str
    nonmembers: str


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("game", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, help="CamVid, or with --stranger the rendered streets")
    parser.add_argument("--victims", type=int, nargs="+", help="those that A1 attacks")
    parser.add_argument("--steps", type=int, nargs="+", default=[1500, 750], help="of A1's shadows")
    parser.add_argument("--stranger", type=Path, help="A2's shadow")
    parser.add_argument("--defences", nargs="*", default=[])
    parser.add_argument("--aware", nargs="*", default=[], help="defences that the attackers know of")
    options = parser.parse_args()
    if options.game:
        torch.set_num_threads(1)
        draw = read_game(options.game)[1]
        for adversary in adversaries(options, draw):
            measure(adversary, options.game, draw, options.defences, options.aware)
    print(table())


def adversaries(options: argparse.Namespace, draw: Draw) -> Iterator[Adversary]:
    if options.stranger:
        every = range(len(draw.members))
        yield Adversary("A2", dict.fromkeys(every, options.stranger), options.data, "train", "val")
        return
    for steps in options.steps:
        runs = {v: dependent(options.game, draw, options.data, v, steps) for v in options.victims}
        yield Adversary(f"A1, {steps} steps", runs, options.data, "members", "nonmembers")


def queries(draw: Draw, victim: int) -> np.ndarray:
    """[images]: every second of the blocks that a victim was not trained on."""
    outside = sorted(set(draw.block[~draw.members[victim] & (draw.block != DROPPED)]))
    return np.isin(draw.block, outside[::2])


def dependent(game: Path, draw: Draw, data: Path, victim: int, steps: int) -> Path:
    """The run of the shadow that A1 trains for one victim."""
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
    return out


def attacker_by(adversary: Adversary, run: Path, kind: Kind, behind: str) -> tuple[Attacker, float]:
    """An attacker trained on what a shadow says of its own images behind a defence, and how sure that shadow is."""
    model = load_model(str(run / "checkpoints" / "last.ckpt"))
    assert model.config is not None
    sides: list[SegmentationDataset] = [
        open_split(model.config, adversary.data, name) for name in (adversary.members, adversary.nonmembers)
    ]
    generator, secret = str(run / "generator"), f"of shadow {run.name}".encode()
    box = defended(model, model.network, [behind] if behind else [], generator, secret)
    head = {"weights": fingerprint(model.network)}
    if behind.startswith("synfeat"):
        head["generator"] = fingerprint_of(generator)
    suffix = f"_{behind}" if behind else ""
    kept, maps = Kept(run / f"own{suffix}.jsonl", head), run / f"own{suffix}.npy"
    ask_all(checked(box, len(sides[0].classes)), Joined(sides), kept, side="own", label_only=False, maps=maps)
    places, inside = np.arange(sum(map(len, sides))), len(sides[0])
    shadow = Shadow(np.load(maps, mmap_mode="r"), places[:inside], places[inside:])
    file, channels = run / f"attacker_{kind}{suffix}.pt", shadow.maps.shape[1]
    attacker = kept_attacker(file, head, kind, channels, lambda: attacker_of([shadow], kind, STEPS))
    return attacker, mean_confidence(some(shadow.maps))


def measure(
    adversary: Adversary, game: Path, draw: Draw, defences: Sequence[str], aware: Sequence[str]
) -> None:
    """One file for each kind and defence, known or not: every victim attacked by what its shadow teaches."""
    cases = [(defence, "") for defence in ("", *defences)] + [(defence, defence) for defence in aware]
    for kind, (defence, known) in product(KINDS, cases):
        parts = [adversary.name, kind, *([defence] if defence else []), *(["aware"] if known else [])]
        file = RESULTS / f"{', '.join(parts)}.json".replace(" ", "_")
        if file.exists():
            continue
        taught = {
            run: attacker_by(adversary, run, kind, known) for run in dict.fromkeys(adversary.runs.values())
        }
        levels = {level: np.full(draw.members.shape, np.nan) for level in LEVELS}
        for victim, run in adversary.runs.items():
            attacker, usual = taught[run]
            maps = np.load(maps_file(game, victim, defence), mmap_mode="r")
            for aligned, temperature in (("", 1.0), ("aligned, ", matching_temperature(some(maps), usual))):
                found = scores_by(attacker, kind, maps, temperature)
                levels[f"{aligned}image"][victim] = found.images
                levels[f"{aligned}patch"][victim] = found.patches[:, found.patches.shape[1] // 2]
        said = {"adversary": adversary.name, "kind": kind, "defence": defence or "none", "aware": bool(known)}
        write_json(file, said | judged(adversary, draw, levels) | environment())
        print(", ".join(parts), flush=True)


LEVELS = ("image", "patch", "aligned, image", "aligned, patch")


def judged(adversary: Adversary, draw: Draw, levels: dict[str, np.ndarray]) -> dict[str, Any]:
    victims = list(adversary.runs)
    nothing = np.zeros(len(draw.ids), bool)
    asked_before = np.array([nothing if adversary.name == "A2" else queries(draw, v) for v in victims])
    members = draw.members[victims]
    found = {}
    for level, scores in levels.items():
        assessed = assess_game(np.where(asked_before, np.nan, scores[victims]), members, draw.block)
        found[level] = {
            "auc": assessed.auc._asdict(),
            "aucs": list(assessed.aucs),
            "precision_at_recall_0.8": assessed.precision._asdict(),
            "true_positive_rate": {
                str(rate): None if e is None else e._asdict() for rate, e in assessed.true_positives.items()
            },
            "curve": {
                "false": assessed.curve.false_positive_rate.round(4).tolist(),
                "true": assessed.curve.true_positive_rate.round(4).tolist(),
            },
        }
    outside = ~members & ~asked_before & (draw.block != DROPPED)
    return {
        "victims": victims,
        "sides": {"members": int(members.sum()), "nonmembers": int(outside.sum())},
        "levels": found,
    }


def table() -> str:
    lines = ["| adversary | sees | defence | knows of it | victims | "]
    lines[0] += " | ".join(f"{level}: AUC" for level in LEVELS) + " | image: precision at recall 0.8 |"
    lines.append("|---" * (6 + len(LEVELS)) + "|")
    for result in results():
        areas = [result["levels"][level]["auc"] for level in LEVELS]
        cells = [f"{a['value']:.2f} ({a['low']:.2f} to {a['high']:.2f})" for a in areas]
        cells.append(f"{result['levels']['image']['precision_at_recall_0.8']['value']:.2f}")
        knows = "yes" if result["aware"] else "no"
        head = (result["adversary"], result["kind"], result["defence"], knows, str(len(result["victims"])))
        lines.append("| " + " | ".join((*head, *cells)) + " |")
    return "\n".join(lines)


def results() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]


if __name__ == "__main__":
    main()
