"""Audits one model: does what it says of images tell which of them it was trained on?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from tessella.datasets import Joined, SegmentationDataset, class_names
from tessella.errors import InputError
from tessella.files import write_json
from tessella.membership_inference.black_box import BlackBox, checked
from tessella.membership_inference.learned import KINDS, Kind
from tessella.runs.asking import Kept, Progress, Row, ask_all, is_labelled, require_apart, silent
from tessella.runs.judging import judge
from tessella.runs.label_spaces import require_same_classes
from tessella.runs.shadows import (
    FEWEST,
    Scores,
    ShadowModel,
    ask_shadow,
    learned_attacks,
    reference_attacks,
)
from tessella.runs.unlabelled import WITHOUT_LABELS, comparable, has_labels, require_alike


@dataclass(frozen=True)
class Victim:
    """black_box: pictures to posteriors. description: what it is, for the report. classes: names. fingerprint: of its
    weights; answers that others gave are not gone on with.
    """

    black_box: BlackBox
    description: str
    classes: Sequence[str]
    fingerprint: str = ""


def audit(
    victim: Victim,
    members: SegmentationDataset,
    nonmembers: SegmentationDataset,
    out: Path,
    *,
    owner: tuple[SegmentationDataset, SegmentationDataset] | None = None,
    shadows: Sequence[ShadowModel] = (),
    attacker_steps: int = 1500,
    label_only: bool = True,
    block: float | None = None,
    chosen: str = "",
    command: str = "",
    progress: Progress = silent,
) -> Row:
    """Ask about every image, attack with what was answered, and write ``audit.json`` and ``answers.jsonl`` to ``out``.

    owner: images that an owner suspects to have been used, and others of his that cannot have been. shadows: models
    whose training images are known, for the learned attack and, from two on, those that compare. attacker_steps: of
    training the learned attack's network. label_only: ask nine times more for the attack that needs labels alone.
    block: length of the blocks of video that are taken together (``blocks_of``). chosen: how the two sides were chosen,
    for the report. Images may lack labels: attacks that need them leave such images out, and are not run where no image
    has labels. An audit that was interrupted goes on where it stopped.

    Raises InputError for images on both sides, empty sides, one side alone without labels, other classes, labels that
    are no class, and answers that are neither posteriors nor label maps.
    """
    if attacker_steps < 0:
        raise InputError(f"attacker_steps: {attacker_steps}; give at least 0")
    pairs = [{"members": members, "nonmembers": nonmembers}]
    if owner is not None:
        pairs.append({"suspected": owner[0], "held out": owner[1]})
    sides = dict(chain(*(pair.items() for pair in pairs)))
    for name, dataset in {**sides, **_own_images(shadows)}.items():
        if not len(dataset):
            raise InputError(f"{name}: no image; at least one is needed on either side")
        require_same_classes(name, class_names(dataset.classes), victim.classes)
    for pair in pairs:
        require_alike(pair)
    black_box = checked(victim.black_box, len(victim.classes))
    head = {"victim": victim.description, "weights": victim.fingerprint}
    kept = Kept(out / "answers.jsonl", head)
    maps = {name: out / f"maps_{name}.npy" for name in ("members", "nonmembers")} if shadows else {}
    rows = {
        name: ask_all(
            black_box,
            dataset,
            kept,
            side=name,
            label_only=label_only,
            maps=maps.get(name),
            progress=progress,
        )
        for name, dataset in sides.items()
    }
    require_apart(rows, "members", "nonmembers")
    for pair in pairs:
        rows |= comparable({name: rows[name] for name in pair})
    compared: Scores = {}
    if shadows:
        audited = Joined([members, nonmembers])
        asked = [ask_shadow(each, audited, out, number, progress) for number, each in enumerate(shadows)]
        if attacker_steps:
            of_victim = [np.load(file, mmap_mode="r") for file in maps.values()]
            all_labelled = all(map(has_labels, (members, *_own_images(shadows).values())))
            kinds: Sequence[Kind] = KINDS if all_labelled else ("posteriors alone",)
            compared |= learned_attacks(asked, of_victim, kinds, attacker_steps, out)
            for name in compared.keys() - WITHOUT_LABELS:
                compared[name][[not is_labelled(row) for row in rows["members"] + rows["nonmembers"]]] = (
                    np.nan
                )
        if len(shadows) >= FEWEST and any(map(is_labelled, rows["members"])):
            compared |= reference_attacks(rows["members"] + rows["nonmembers"], asked)
    result = judge(
        victim.description, victim.classes, rows, compared, length=block, chosen=chosen, command=command
    )
    result["shadows"] = [
        {"model": each.description, "images": [len(each.members), len(each.nonmembers)]} for each in shadows
    ]
    write_json(out / "audit.json", result)
    return result


def _own_images(shadows: Sequence[ShadowModel]) -> dict[str, SegmentationDataset]:
    return {
        f"{each.description}: {name}": dataset
        for each in shadows
        for name, dataset in (("members", each.members), ("nonmembers", each.nonmembers))
    }
