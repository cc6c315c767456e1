"""What an audit says of one attack: its numbers with their intervals, and which of them the images cannot resolve."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tessella.errors import InputError
from tessella.membership_inference.blocks import folds
from tessella.membership_inference.statistics import (
    Estimate,
    Scores,
    best_threshold,
    bootstrap_auc,
    epsilon_lower_bound,
    precision_at_recall,
    proportion,
    threshold_at,
)

RATES = (0.1, 0.01, 0.001)
"""False positive rates at which true positive rates are told."""

FOLDS = 5


class Counts(NamedTuple):
    """What thresholds from other images gave: called members, of all members; called members, of all non-members."""

    true: int
    members: int
    false: int
    nonmembers: int


@dataclass(frozen=True)
class Assessment:
    """auc: by a bootstrap over blocks. precision: at a recall of 0.8. Of ``true_positives``, by false positive rate
    asked for, None is what too few non-members cannot resolve; ``false_positives`` are the rates that came of it.
    epsilon: a lower bound for differentially private training; it means something only where chance made the members.
    """

    auc: Estimate
    balanced_accuracy: Estimate
    precision: Estimate
    true_positives: dict[float, Estimate | None]
    false_positives: dict[float, Estimate | None]
    epsilon: float


def assess(
    members: Scores,
    nonmembers: Scores,
    member_blocks: Sequence[Hashable],
    nonmember_blocks: Sequence[Hashable],
    seed: int = 0,
) -> Assessment:
    """Scores of images, larger for likelier members, and which of them hang together.

    No threshold is judged by the images that it was chosen on: blocks are put into five folds, and each fold is judged
    by a threshold from the others.

    Raises InputError where a side is empty or a score is not a number.
    """
    area = bootstrap_auc(members, nonmembers, member_blocks, nonmember_blocks, seed=seed)
    sides = (folds(member_blocks, FOLDS, seed), folds(nonmember_blocks, FOLDS, seed))
    best = _judge(members, nonmembers, sides, best_threshold)
    by_rate = {rate: _judge(members, nonmembers, sides, _at(rate)) for rate in RATES}
    each = 1 - 0.05 / (len(RATES) + 1)  # three rates and the best threshold are tried: each must be surer
    shown = [epsilon_lower_bound(*counts, confidence=each) for counts in (best, *by_rate.values()) if counts]
    return Assessment(
        area,
        _balanced(best) if best else Estimate(float("nan"), 0.0, 1.0),
        precision_at_recall(members, nonmembers, 0.8),
        {rate: proportion(*counts[:2]) if counts else None for rate, counts in by_rate.items()},
        {rate: proportion(*counts[2:]) if counts else None for rate, counts in by_rate.items()},
        max(shown, default=0.0),
    )


def _at(rate: float) -> Callable[[Scores, Scores], float | None]:
    return lambda members, nonmembers: threshold_at(nonmembers, rate)


def _judge(
    members: Scores,
    nonmembers: Scores,
    of_sides: tuple[np.ndarray, np.ndarray],
    choose: Callable[[Scores, Scores], float | None],
) -> Counts | None:
    true = false = 0
    for fold in range(FOLDS):
        inside, outside = (of_side == fold for of_side in of_sides)
        if not (inside.any() or outside.any()):
            continue
        try:
            threshold = choose(members[~inside], nonmembers[~outside])
        except InputError:  # a side of few blocks, all of them in this fold
            return None
        if threshold is None:
            return None
        true += int((members[inside] >= threshold).sum())
        false += int((nonmembers[outside] >= threshold).sum())
    return Counts(true, len(members), false, len(nonmembers))


def _balanced(counts: Counts) -> Estimate:
    """The mean of two shares; its interval is at least as wide as it has to be."""
    right = (
        proportion(counts.true, counts.members),
        proportion(counts.nonmembers - counts.false, counts.nonmembers),
    )
    return Estimate(*(sum(pair) / 2 for pair in zip(*right, strict=True)))
