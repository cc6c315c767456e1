"""Audits one model: does what it says of images tell which of them it was trained on?"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tessella.datasets import SegmentationDataset
from tessella.datasets.loading import Batch, evaluation_loader
from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS, ask, mean_iou
from tessella.membership_inference.assess import assess
from tessella.membership_inference.black_box import BlackBox, checked
from tessella.membership_inference.blind import blind_baseline, features, is_given_away
from tessella.membership_inference.owner import owners_test
from tessella.membership_inference.signals import SIGNALS
from tessella.membership_inference.statistics import auc, bootstrap_auc, histogram_similarity, roc
from tessella.pictures import to_rgb8
from tessella.runs.environment import environment, write_json
from tessella.scenes.files import write_bytes

Progress = Callable[[Iterable[Batch], str, int], Iterable[Batch]]
Row = dict[str, Any]

BLOCK = 10
"""Images of one name and consecutive numbers that are taken together: frames of a video are not independent."""

NOT_RUN = {
    "learned attack": "it needs a shadow model, whose members are known",
    "reference models (LiRA, RMIA)": "they need models that are trained on other draws of the same images",
}


@dataclass(frozen=True)
class Victim:
    """black_box: pictures to posteriors. description: what it is, for the report. classes: names. fingerprint: of its
    weights; answers that others gave are not gone on with.
    """

    black_box: BlackBox
    description: str
    classes: Sequence[str]
    fingerprint: str = ""


def fingerprint(network: nn.Module) -> str:
    """The same for the same parameters and buffers."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in network.state_dict().items():
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + content.numpy().tobytes())
    return digest.hexdigest()


def audit(
    victim: Victim,
    members: SegmentationDataset,
    nonmembers: SegmentationDataset,
    out: Path,
    *,
    owner: tuple[SegmentationDataset, SegmentationDataset] | None = None,
    label_only: bool = True,
    chosen: str = "",
    command: str = "",
    progress: Progress = lambda batches, name, total: batches,
) -> Row:
    """Ask about every image, attack with what was answered, and write ``audit.json`` and ``answers.jsonl`` to ``out``.

    owner: images that an owner suspects to have been used, and others of his that cannot have been. label_only: ask
    nine times more for the attack that needs labels alone. chosen: how the two sides were chosen, for the report.
    An audit that was interrupted goes on where it stopped.

    Raises InputError for images on both sides, empty sides, other classes, and answers that are no posteriors.
    """
    sides = {"members": members, "nonmembers": nonmembers}
    if owner is not None:
        sides |= {"suspected": owner[0], "held out": owner[1]}
    for name, dataset in sides.items():
        if not len(dataset):
            raise InputError(f"{name}: no image; at least one is needed on either side")
        if len(dataset.classes) != len(victim.classes):
            raise InputError(
                f"{name}: labels of {len(dataset.classes)} classes where the model has {len(victim.classes)}"
            )
    black_box = checked(victim.black_box, len(victim.classes))
    head = {"victim": victim.description, "weights": victim.fingerprint, "label_only": label_only}
    kept = _Kept(out / "answers.jsonl", head)
    rows: dict[str, list[Row]] = {name: [] for name in sides}
    for name, dataset in sides.items():
        for batch in progress(evaluation_loader(dataset), name, len(dataset)):
            key = {"side": name, "id": batch["id"][0], "content": _content(batch)}
            rows[name].append(kept.find(key) or kept.add(key | _row(black_box, batch, label_only)))
    _require_apart(rows, "members", "nonmembers")
    result = _judge(victim, rows, chosen, command)
    write_json(out / "audit.json", result)
    return result


def blocks_of(ids: Sequence[str], length: int = BLOCK) -> list[str]:
    """Images whose names differ in a last number alone are a video; so many consecutive ones are a block."""
    videos: dict[str, list[str]] = {}
    for id_ in sorted(ids):
        videos.setdefault(id_.rstrip("0123456789"), []).append(id_)
    block = {
        id_: f"{video}{place // length}"
        for video, frames in videos.items()
        for place, id_ in enumerate(frames)
    }
    return [block[id_] for id_ in ids]


class _Kept:
    """A file of lines, one for each image; what was written is not asked again."""

    def __init__(self, path: Path, head: Row) -> None:
        self.path = path
        lines = path.read_text().split("\n")[:-1] if path.exists() else []  # the last may be half a line
        try:
            first, *rows = map(json.loads, lines or [json.dumps(head)])
            self.known = {(row["side"], row["id"], row["content"]): row for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is damaged; remove it and audit again") from error
        if first != head:
            raise InputError(f"{path}: is of another audit; give another --out")
        write_bytes(path, "".join(json.dumps(row) + "\n" for row in (head, *rows)).encode())

    def find(self, key: Row) -> Row | None:
        return self.known.get((key["side"], key["id"], key["content"]))

    def add(self, row: Row) -> Row:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row


def _content(batch: Batch) -> str:
    """The same for equal pictures."""
    return hashlib.blake2b(batch["image"].numpy().tobytes(), digest_size=16).hexdigest()


def _row(black_box: BlackBox, batch: Batch, label_only: bool) -> Row:
    if "labels" not in batch:
        raise InputError(f"{batch['id'][0]} has no labels: these attacks compare answers with the truth")
    image = batch["image"]
    picture = to_rgb8(image[0].permute(1, 2, 0).contiguous().numpy())
    with torch.inference_mode():
        answer = ask(black_box, image, batch["labels"], label_only)
    return {**asdict(answer), "seen": [round(float(x), 4) for x in features(picture)]}


def _require_apart(rows: dict[str, list[Row]], one: str, other: str) -> None:
    first = {row["content"]: row["id"] for row in rows[one]}
    both = [(first[row["content"]], row["id"]) for row in rows[other] if row["content"] in first]
    if both:
        raise InputError(
            f"{one} and {other} share {len(both)} images, as {both[0][0]} and {both[0][1]}: they cannot be both"
        )


def _judge(victim: Victim, rows: dict[str, list[Row]], chosen: str, command: str) -> Row:
    sides = rows["members"], rows["nonmembers"]
    blocks = [blocks_of([row["id"] for row in side]) for side in sides]
    names = [name for name in (*SIGNALS, STEADINESS) if name in sides[0][0]["scores"]]
    left_out = dict(NOT_RUN) if STEADINESS in names else {**NOT_RUN, STEADINESS: "it was not asked for"}
    # Of so many attacks one finds something by chance: for the verdict each must be surer.
    among = 1 - 0.05 / len(names)
    attacks = {name: _attack([_scores(side, name) for side in sides], blocks, among) for name in names}
    blind = _blind(sides, blocks)
    result = {
        "victim": victim.description,
        "chosen": chosen,
        "command": command,
        "images": {name: len(side) for name, side in rows.items()},
        "blocks": [len(set(side)) for side in blocks],
        "verdict": verdict(blind, attacks),
        "blind": blind,
        "attacks": attacks,
        "not_run": left_out,
        "similarity_of_confidences": histogram_similarity(
            _scores(sides[0], "confidence"), _scores(sides[1], "confidence")
        ),
        "classes": _classes(victim.classes, sides),
        "mean_iou": {name: mean_iou(side) for name, side in rows.items()},
        **environment(),
    }
    if "suspected" in rows:
        result["owners_test"] = _owner(rows["suspected"], rows["held out"])
    return result


def verdict(blind: Row, attacks: dict[str, Row]) -> str:
    """In one or two sentences."""
    if blind["given_away"] is None:
        return f"No verdict: whether the two sides look alike could not be tested ({blind['why']})."
    if blind["given_away"]:
        return (
            f"No verdict: members and non-members can be told apart by what they show, without the model (AUC "
            f"{blind['auc']['value']:.2f}). Draw them by chance from the same videos, days or places."
        )
    possible = {name: attack["auc_among_attacks"] for name, attack in attacks.items() if attack["auc"]}
    name = max(possible, key=lambda name: possible[name]["low"], default="")
    if not name:
        return "No verdict: no image could be attacked."
    best = possible[name]
    said = f"AUC {best['value']:.2f}, {best['low']:.2f} to {best['high']:.2f} among {len(possible)} attacks"
    if best["low"] > 0.5:
        return f"The model gives away which images it was trained on: by its {name} ({said})."
    return (
        f"No attack that was tried tells members from non-members; the best was {name} ({said}). Attacks that were not "
        "tried may."
    )


def _blind(sides: Sequence[list[Row]], blocks: Sequence[list[str]]) -> Row:
    described = np.array([row["seen"] for side in sides for row in side])
    is_member = np.repeat([True, False], [len(side) for side in sides])
    folds = [f"{number} {block}" for number, side in enumerate(blocks) for block in side]
    try:
        estimate = blind_baseline(described, is_member, folds)
    except InputError as error:
        return {"auc": None, "given_away": None, "why": str(error)}
    return {"auc": estimate._asdict(), "given_away": is_given_away(estimate)}


def _scores(side: list[Row], name: str) -> np.ndarray:
    """nan for an image that the attack says nothing of: one without a pixel that has a class, or a border."""
    return np.array([np.nan if row["scores"][name] is None else row["scores"][name] for row in side])


def _attack(scores: Sequence[np.ndarray], blocks: Sequence[list[str]], confidence: float) -> Row:
    known = [~np.isnan(side) for side in scores]
    left_out = int(sum((~side).sum() for side in known))
    if not all(side.any() for side in known):
        return {"images_left_out": left_out, "auc": None}
    members, nonmembers = (side[which] for side, which in zip(scores, known, strict=True))
    of_kept = [np.array(side)[which].tolist() for side, which in zip(blocks, known, strict=True)]
    found = assess(members, nonmembers, *of_kept)
    curve = roc(members, nonmembers)
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


def _owner(suspected: list[Row], held_out: list[Row]) -> Row:
    """By the mean logit: one test, chosen beforehand."""
    _require_apart({"suspected": suspected, "held out": held_out}, "suspected", "held out")
    blocks = [blocks_of([row["id"] for row in side]) for side in (suspected, held_out)]
    found = owners_test(_scores(suspected, "logit"), _scores(held_out, "logit"), *blocks)
    return {**found._asdict(), "images": [len(suspected), len(held_out)]}
