"""Attacks on one model with the help of others, whose training images the attacker knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tessella.datasets import Joined, SegmentationDataset
from tessella.membership_inference.black_box import BlackBox, checked
from tessella.membership_inference.learned import Kind, matching_temperature, mean_confidence
from tessella.membership_inference.reference import SEVERAL, lira, rmia
from tessella.runs.asking import Kept, Progress, Row, ask_all, require_apart, scores_of
from tessella.runs.learned import Shadow, attacker_of, kept_attacker, scores_by, some

FEWEST = 2
"""References to compare a victim with."""

Scores = dict[str, np.ndarray]
"""[images] by attack, members first."""


@dataclass(frozen=True)
class ShadowModel:
    """black_box: pictures to posteriors. members, nonmembers: what it was trained on, and what it was not."""

    black_box: BlackBox
    description: str
    fingerprint: str
    members: SegmentationDataset
    nonmembers: SegmentationDataset


@dataclass(frozen=True)
class AskedShadow:
    """own: what it answered about its own images. rows: about those of the audit. seen: which of these it knows.
    asked: what ``own`` depends on.
    """

    own: Shadow
    rows: list[Row]
    seen: np.ndarray
    asked: Row


def ask_shadow(
    shadow: ShadowModel, audited: SegmentationDataset, out: Path, number: int, progress: Progress
) -> AskedShadow:
    """What is answered is kept in ``shadow_NUMBER.jsonl`` and ``.npy``; InputError where its two sides share images."""
    head = {"shadow": shadow.description, "weights": shadow.fingerprint}
    kept = Kept(out / f"shadow_{number}.jsonl", head)
    maps = out / f"shadow_{number}.npy"
    black_box = checked(shadow.black_box, len(shadow.members.classes))
    own = Joined([shadow.members, shadow.nonmembers])
    of_own = ask_all(black_box, own, kept, side="own", label_only=False, maps=maps, progress=progress)
    inside = len(shadow.members)
    sides = {f"{shadow.description}: members": of_own[:inside], "nonmembers": of_own[inside:]}
    require_apart(sides, *sides)
    rows = ask_all(black_box, audited, kept, side="audited", label_only=False, progress=progress)
    trained_on = {row["content"] for row in of_own[:inside]}
    places = np.arange(len(own))
    return AskedShadow(
        Shadow(np.load(maps, mmap_mode="r"), places[:inside], places[inside:]),
        rows,
        np.array([row["content"] in trained_on for row in rows]),
        {**head, "members": inside, "images": [[row["content"], row["labels"]] for row in of_own]},
    )


def learned_attacks(
    shadows: Sequence[AskedShadow],
    sides: Sequence[np.ndarray],
    kinds: Sequence[Kind],
    steps: int,
    out: Path,
) -> Scores:
    """Of images, and of the patch in the middle of each. sides: maps of the victim's answers about members and others.

    "aligned": made as sure, on the average, as the shadows are of their images. Attackers are kept in ``out``.
    """
    own = [shadow.own for shadow in shadows]
    usual = float(np.mean([mean_confidence(some(shadow.maps)) for shadow in own]))
    aligning = matching_temperature(torch.cat([some(maps) for maps in sides]), usual)
    scores: Scores = {}
    for kind in kinds:
        attacker = kept_attacker(
            out / f"attacker_{kind.replace(' ', '_')}.pt",
            {"steps": steps, "shadows": [shadow.asked for shadow in shadows]},
            kind,
            own[0].maps.shape[1],
            partial(attacker_of, own, kind, steps),
        )
        temperatures = {"": 1.0} if kind == "loss" else {"": 1.0, ", aligned": aligning}
        for name, temperature in temperatures.items():
            found = [scores_by(attacker, kind, maps, temperature) for maps in sides]
            scores[f"learned, {kind}{name}"] = np.concatenate([each.images for each in found])
            middle = [each.patches[:, each.patches.shape[1] // 2] for each in found]
            scores[f"learned, {kind}{name}, one patch"] = np.concatenate(middle)
    return scores


def reference_attacks(rows: list[Row], shadows: Sequence[AskedShadow]) -> Scores:
    """LiRA and RMIA; online where at least one of the shadows was trained on images of the audit."""
    members = np.array([np.zeros(len(rows), bool), *(shadow.seen for shadow in shadows)])
    answers = [rows, *(shadow.rows for shadow in shadows)]
    several = np.array([[scores_of(each, name) for name in SEVERAL] for each in answers]).transpose(0, 2, 1)
    logit, loss = (np.array([scores_of(each, name) for each in answers]) for name in ("logit", "loss"))
    scores = {
        "LiRA, offline": lira(logit[..., None], members, 0, online=False),
        "RMIA, offline": rmia(loss, members, 0, online=False),
    }
    if members.any():
        scores |= {
            "LiRA": lira(logit[..., None], members, 0),
            "LiRA, several signals": lira(several, members, 0),
            "RMIA": rmia(loss, members, 0),
        }
    return scores
