"""The learned attack in a game: its shadows are half of the models, its victims the other half, and the reverse."""

from pathlib import Path

import numpy as np

from tessella.files import npz, write_bytes
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.learned import Attacker, Kind
from tessella.runs.game import answers_file, maps_file
from tessella.runs.learned import Scores, Shadow, attacker_of, kept_attacker, scores_by


def learned_scores(
    out: Path,
    members: np.ndarray,
    block: np.ndarray,
    kind: Kind,
    *,
    steps: int,
    defence: str = "",
    aware: bool = True,
) -> Scores:
    """Image-level scores [models, images], and patch-level ones [models, images, patches].

    steps: of training. defence: behind which victims are; and shadows too if ``aware`` of it. What was trained and
    scored lies in the folder ``learned`` and is not done again.
    """
    heads = np.array([_head(out, model, each) for model in range(len(members)) for each in ("", defence)])
    name = f"{kind}_{steps}{'_' if defence else ''}{defence}"
    file = out / "learned" / f"{name}{'' if aware else '_unaware'}.npz"
    if file.exists():
        with np.load(file) as found:
            if np.array_equal(found["heads"], heads):
                return Scores(found["images"], found["patches"])
    kept = block != DROPPED
    found_scores: list[Scores | None] = [None] * len(members)
    for half in (0, 1):
        attacker = trained(out, members, kept, kind, steps, half, defence if aware else "")
        for victim in range(1 - half, len(members), 2):
            found_scores[victim] = scores_by(attacker, kind, _maps(out, victim, defence))
    scores = Scores(*(np.array(each) for each in zip(*found_scores, strict=True)))
    write_bytes(file, npz([("heads", heads), ("images", scores.images), ("patches", scores.patches)]))
    return scores


def trained(
    out: Path, members: np.ndarray, kept: np.ndarray, kind: Kind, steps: int, half: int, defence: str = ""
) -> Attacker:
    """The attacker whose shadows are every second model from ``half`` on, taken from the disk if it is there."""
    models = range(half, len(members), 2)

    def train() -> Attacker:
        shadows = [
            Shadow(
                _maps(out, model, defence),
                np.flatnonzero(members[model] & kept),
                np.flatnonzero(~members[model] & kept),
            )
            for model in models
        ]
        return attacker_of(shadows, kind, steps)

    return kept_attacker(
        out / "learned" / f"{kind}_{steps}{'_' if defence else ''}{defence}_{half}.pt",
        [_head(out, model, defence) for model in models],
        kind,
        _maps(out, half, defence).shape[1],
        train,
    )


def _maps(out: Path, model: int, defence: str) -> np.ndarray:
    found: np.ndarray = np.load(maps_file(out, model, defence), mmap_mode="r")
    return found


def _head(out: Path, model: int, defence: str) -> str:
    """Names the weights: what was scored of a model that has been trained anew since is of no use."""
    with answers_file(out, model, "last", defence).open() as lines:
        return lines.readline()
