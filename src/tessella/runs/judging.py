"""What answers about members and non-members say, by every attack: the numbers of an audit."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS, utility
from tessella.membership_inference.assess import assess
from tessella.membership_inference.blind import DRAWS, blind_baseline, is_given_away
from tessella.membership_inference.blocks import blocks, frame_of
from tessella.membership_inference.owner import owners_test
from tessella.membership_inference.signals import SIGNALS
from tessella.membership_inference.statistics import (
    Estimate,
    auc,
    bootstrap_auc,
    histogram_similarity,
    roc,
    thinned,
)
from tessella.membership_inference.surest import surest
from tessella.membership_inference.verdict import OF_AN_AUDIT, verdict
from tessella.runs.asking import Row, is_labelled, require_apart, scores_of
from tessella.runs.environment import environment
from tessella.runs.not_run import not_run
from tessella.runs.shadows import Scores
from tessella.runs.unlabelled import WITHOUT_LABELS

FRAMES = 10
"""Images of one name and consecutive numbers that are taken together: frames of a video are not independent."""


def judge(
    victim: str,
    classes: Sequence[str],
    rows: dict[str, list[Row]],
    compared: Scores,
    *,
    length: float | None,
    chosen: str,
    command: str,
) -> Row:
    """What an audit reports. rows: answers by side. compared: scores of attacks with the help of shadow models.

    length: of blocks. victim, chosen, command: for the report.
    """
    sides = rows["members"], rows["nonmembers"]
    of_sides = [blocks_of([row["id"] for row in side], length) for side in sides]
    labelled = any(is_labelled(row) for row in chain(*sides))
    possible = [name for name in (*SIGNALS, STEADINESS) if labelled or name in WITHOUT_LABELS]
    names = [name for name in possible if all(name in row["scores"] for row in chain(*sides))]
    scores = {name: [scores_of(side, name) for side in sides] for name in names}
    scores |= {name: np.split(found, [len(sides[0])]) for name, found in compared.items()}
    # Of so many attacks one finds something by chance: for the verdict each must be surer.
    among = 1 - 0.05 / len(scores)
    attacks = {name: _attack(found, of_sides, among) for name, found in scores.items()}
    best = _best_attack(attacks)
    blind = _blind(sides, of_sides)
    confidences = [side[~np.isnan(side)] for side in scores["confidence"]]
    result = {
        "victim": victim,
        "chosen": chosen,
        "command": command,
        "images": {name: len(side) for name, side in rows.items()},
        "labelled": labelled,
        "blocks": [len(set(side)) for side in of_sides],
        "block_length": length,
        "verdict": _verdict(blind, attacks),
        "blind": blind,
        "attacks": attacks,
        "not_run": not_run(attacks, labelled, "suspected" in rows, victim),
        "surest_of": {"attack": best, "members": _surest(sides[0], scores[best]) if best else []},
        "confidences": {
            name: np.histogram(side, 100, (0, 1))[0].tolist()
            for name, side in zip(("members", "nonmembers"), confidences, strict=True)
        },
        "similarity_of_confidences": histogram_similarity(*confidences),
        "classes": _classes(classes, sides),
        "utility": {name: utility(side).as_row() for name, side in rows.items()},
        **environment(),
    }
    if "suspected" in rows:
        result["owners_test"] = _owner(rows["suspected"], rows["held out"], length)
    return result


def _verdict(blind: Row, attacks: dict[str, Row]) -> str:
    if blind["auc"] is None:
        return f"No verdict: whether the two sides look alike could not be tested ({blind['why']})."
    areas = {
        name: Estimate(**attack["auc_among_attacks"]) for name, attack in attacks.items() if attack["auc"]
    }
    return verdict([Estimate(**blind["auc"])], areas, OF_AN_AUDIT)


def _best_attack(attacks: dict[str, Row]) -> str:
    """The one whose AUC is surely the largest; empty where no image could be attacked."""
    possible = {name: attack["auc_among_attacks"]["low"] for name, attack in attacks.items() if attack["auc"]}
    return max(possible, key=lambda name: possible[name], default="")


def _surest(members: list[Row], scores: Sequence[np.ndarray]) -> list[Row]:
    return [
        {
            "id": members[image.place]["id"],
            "score": image.score,
            "false_positive_rate": image.false_positive_rate._asdict(),
        }
        for image in surest(scores[0], scores[1])
    ]


def _blind(sides: Sequence[list[Row]], blocks: Sequence[list[str]]) -> Row:
    """The worst of several ways to put blocks into folds."""
    described = np.array([row["seen"] for side in sides for row in side])
    is_member = np.repeat([True, False], [len(side) for side in sides])
    folds = [f"{number} {block}" for number, side in enumerate(blocks) for block in side]
    try:
        draws = [blind_baseline(described, is_member, folds, seed) for seed in range(DRAWS)]
    except InputError as error:
        return {"auc": None, "given_away": None, "why": str(error)}
    estimate = max(draws, key=lambda draw: draw.low)
    return {"auc": estimate._asdict(), "given_away": is_given_away(estimate)}


def _attack(scores: Sequence[np.ndarray], blocks: Sequence[list[str]], confidence: float) -> Row:
    known = [~np.isnan(side) for side in scores]
    left_out = int(sum((~side).sum() for side in known))
    if not all(side.any() for side in known):
        return {"images_left_out": left_out, "auc": None}
    members, nonmembers = (side[which] for side, which in zip(scores, known, strict=True))
    of_kept = [np.array(side)[which].tolist() for side, which in zip(blocks, known, strict=True)]
    found = assess(members, nonmembers, *of_kept)
    curve = thinned(roc(members, nonmembers))
    return {
        "images_left_out": left_out,
        "auc": found.auc._asdict(),
        "auc_among_attacks": bootstrap_auc(members, nonmembers, *of_kept, confidence=confidence)._asdict(),
        "balanced_accuracy": _estimate(found.balanced_accuracy),
        "precision_at_recall_0.8": _estimate(found.precision),
        "true_positive_rate": {str(rate): _estimate(e) for rate, e in found.true_positives.items()},
        "false_positive_rate": {str(rate): _estimate(e) for rate, e in found.false_positives.items()},
        "epsilon_lower_bound": found.epsilon,
        "roc": {"false": curve.false_positive_rate.tolist(), "true": curve.true_positive_rate.tolist()},
    }


def _estimate(estimate: Any) -> Row | None:
    return None if estimate is None or np.isnan(estimate.value) else estimate._asdict()


def _classes(names: Sequence[str], sides: Sequence[list[Row]]) -> list[Row]:
    """The AUC of the mean logit over one class's pixels, where ten images at least on either side show it."""
    table = []
    for index, name in enumerate(names):
        shown = [[row["of_classes"][index] for row in side] for side in sides]
        logits = [np.array([logit for logit in side if logit is not None]) for side in shown]
        images = [len(side) for side in logits]
        area = auc(logits[0], logits[1]) if min(images) >= 10 else None
        table.append({"name": name, "images": images, "auc": area})
    return table


def _owner(suspected: list[Row], held_out: list[Row], length: float | None) -> Row:
    """By the mean logit, or without labels by the confidence: one test, chosen beforehand.

    No p-value where the pictures alone tell his two sides apart.
    """
    require_apart({"suspected": suspected, "held out": held_out}, "suspected", "held out")
    sides = suspected, held_out
    of_sides = [blocks_of([row["id"] for row in side], length) for side in sides]
    score = "logit" if any(map(is_labelled, suspected)) else "confidence"
    found = owners_test(scores_of(suspected, score), scores_of(held_out, score), *of_sides)
    blind = _blind(sides, of_sides)
    p_value = None if blind["given_away"] else found.p_value
    return {
        "p_value": p_value,
        "auc": found.auc,
        "score": score,
        "images": [len(side) for side in sides],
        "blind": blind,
    }


def blocks_of(ids: Sequence[str], length: float | None = None) -> list[str]:
    """Images whose names differ in a last number alone are a video, which is cut into blocks.

    length: of a block, in the unit of that number; ``FRAMES`` images that follow one another where not given.
    """
    if length is not None:
        return [str(block) for block in blocks([frame_of(id_) for id_ in ids], length, buffer=0)]
    videos: dict[str, list[str]] = {}
    for id_ in sorted(ids, key=frame_of):
        videos.setdefault(id_.rstrip("0123456789"), []).append(id_)
    found = {
        id_: f"{video}{place // FRAMES}"
        for video, frames in videos.items()
        for place, id_ in enumerate(frames)
    }
    return [found[id_] for id_ in ids]
