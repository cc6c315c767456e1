"""The attacker who may query: his shadow is trained on the images that the victim is surest of (thesis, section 7.2).

What he queries, he has labels of; none of it need be the victim's. Of the rest of his images the shadow knows nothing.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tessella.datasets import Listed
from tessella.errors import InputError
from tessella.files import write_text
from tessella.membership_inference.black_box import checked
from tessella.runs.asking import Kept, Progress, ask_all, is_labelled, scores_of, silent
from tessella.runs.audit import Victim
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.fit import Outcome
from tessella.training.machine import Machine


def train_shadow(
    config: Segmentation,
    recipe: str,
    victim: Victim,
    data: Path,
    split: str,
    out: Path,
    *,
    share: float = 0.5,
    machine: Machine = Machine(),
    progress: Progress = silent,
) -> Outcome:
    """Ask about every image of a split, and train ``config`` on the ``share`` of them that is answered most surely.

    ``out`` is a run like any other, whose data set has the splits members and nonmembers. Goes on where it stopped.

    Raises InputError for a share that leaves one side empty, images without labels, and answers that are no posteriors.
    """
    queries = config.dataset(data, split)
    members = round(share * len(queries))
    if not 0 < members < len(queries):
        raise InputError(
            f"share: {share} of {len(queries)} images; both sides need one at least, so give 0.5, or more images"
        )
    kept = Kept(out / "queries.jsonl", {"victim": victim.description, "weights": victim.fingerprint})
    black_box = checked(victim.black_box, len(victim.classes))
    rows = ask_all(black_box, queries, kept, side="queries", label_only=False, progress=progress)
    unlabelled = [row["id"] for row in rows if not is_labelled(row)]
    if unlabelled:
        raise InputError(f"{unlabelled[0]} has no labels: a shadow is trained on them")
    surest = np.argsort(-scores_of(rows, "confidence"), kind="stable")
    for name, places in {"members": surest[:members], "nonmembers": surest[members:]}.items():
        lines = "".join(f"{queries.ids[place]}\n" for place in sorted(places))
        write_text(out / "lists" / f"{name}.txt", lines)
    of_queries = partial(
        Listed, dataset=config.dataset, lists=str((out / "lists").absolute()), of_splits=(split,)
    )
    config = replace(
        config, dataset=of_queries, train_split="members", val_split="nonmembers", test_split="nonmembers"
    )
    resume = (out / "checkpoints" / "last.ckpt").exists()
    return train(config, recipe, data, out, machine=machine, resume=resume)
