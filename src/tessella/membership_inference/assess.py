"""What an audit says of one attack: its numbers with their intervals, and which of them the images cannot resolve."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tessella.errors import InputError
from tessella.membership_inference.blocks import folds, numbered
from tessella.membership_inference.statistics import (
    Estimate,
    Scores,
    bootstrap_auc,
    epsilon_of_rates,
    share_of_blocks,
)
from tessella.membership_inference.thresholds import Called, Folds, Side, at_rate, at_recall, most_right

RATES = (0.1, 0.01, 0.001)
"""False positive rates at which true positive rates are told."""

RECALL = 0.8

FOLDS = 5

ROUNDS = 500
"""Draws of blocks: enough for a variance."""


@dataclass(frozen=True)
class Assessment:
    """Intervals of 95% by drawing blocks. precision: at a recall of 0.8. Of ``true_positives``, by false positive rate
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
    by a threshold from the others. Intervals count how much thresholds and shares vary as blocks are drawn anew.

    Raises InputError where a side is empty or a score is not a number.
    """
    area = bootstrap_auc(members, nonmembers, member_blocks, nonmember_blocks, seed=seed)
    parts = Folds(
        Side(members, numbered(member_blocks), folds(member_blocks, FOLDS, seed)),
        Side(nonmembers, numbered(nonmember_blocks), folds(nonmember_blocks, FOLDS, seed)),
        rounds=ROUNDS,
        seed=seed,
    )
    resolved = [rate for rate in RATES if parts.resolves(rate)]
    unknown = Estimate(float("nan"), 0.0, 1.0)
    try:
        best, recalled, *by_rate = parts.called([most_right, at_recall(RECALL), *map(at_rate, resolved)])
    except InputError:  # a side of few blocks, all of them in one fold
        none: dict[float, Estimate | None] = dict.fromkeys(RATES)
        return Assessment(area, unknown, unknown, none, none, 0.0)
    counts = len(set(member_blocks)), len(set(nonmember_blocks))
    each = 1 - 0.05 / (len(RATES) + 1)  # three rates and the best threshold are tried: each must be surer
    shown = [
        epsilon_of_rates(_found(one, counts[0], each), _taken(one, counts[1], each))
        for one in (best, *by_rate)
    ]
    of_rates = dict(zip(resolved, by_rate, strict=True))
    return Assessment(
        area,
        _balanced(best, min(counts)),
        share_of_blocks(recalled.true, recalled.true + recalled.false, min(counts)),
        {rate: _found(of_rates[rate], counts[0]) if rate in of_rates else None for rate in RATES},
        {rate: _taken(of_rates[rate], counts[1]) if rate in of_rates else None for rate in RATES},
        max(shown),
    )


def _found(called: Called, blocks: int, confidence: float = 0.95) -> Estimate:
    """The true positive rate."""
    return share_of_blocks(called.true, called.members, blocks, confidence)


def _taken(called: Called, blocks: int, confidence: float = 0.95) -> Estimate:
    """The false positive rate."""
    return share_of_blocks(called.false, called.nonmembers, blocks, confidence)


def _balanced(called: Called, blocks: int) -> Estimate:
    """The mean of the shares of either side that are right, as a share of as many images as there are."""
    right = (called.true / called.members + 1 - called.false / called.nonmembers) / 2
    images = called.members + called.nonmembers
    return share_of_blocks(right * images, images, blocks)
