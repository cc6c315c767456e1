"""Rates at thresholds from other blocks than those they are judged on, and how they vary as blocks are drawn anew."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tessella.errors import InputError
from tessella.membership_inference.statistics import FEWEST_ABOVE, Scores

Counts = Float[np.ndarray, "draws points"]
"""How many images of a side have at least the score of each point."""

Choice = Callable[[Counts, Counts], Int[np.ndarray, " draws"]]
"""From the counts of members and of non-members, the point in each draw that is the threshold; -1 calls nobody."""


class Side(NamedTuple):
    """scores, block: of each image, blocks numbered from 0. fold: of each image, the same for a block's."""

    scores: Scores
    block: Int[np.ndarray, " images"]
    fold: Int[np.ndarray, " images"]


class Called(NamedTuple):
    """Of ``members`` and ``nonmembers`` (how many there are in each draw) those that were called members.

    The first draw is what was observed.
    """

    true: Float[np.ndarray, " draws"]
    members: Float[np.ndarray, " draws"]
    false: Float[np.ndarray, " draws"]
    nonmembers: Float[np.ndarray, " draws"]


def at_rate(rate: float) -> Choice:
    """The lowest threshold that calls at most ``rate`` of the non-members members."""

    def choose(members: Counts, nonmembers: Counts) -> np.ndarray:
        allowed = nonmembers <= rate * nonmembers[:, -1:] + 1e-9
        point: np.ndarray = allowed.sum(1) - 1  # counts grow along the points
        return point

    return choose


def at_recall(recall: float) -> Choice:
    """The strictest threshold that finds ``recall`` of the members."""

    def choose(members: Counts, nonmembers: Counts) -> np.ndarray:
        found: np.ndarray = (members >= recall * members[:, -1:] - 1e-9).argmax(1)
        return found

    return choose


def most_right(members: Counts, nonmembers: Counts) -> np.ndarray:
    """The threshold of the highest balanced accuracy."""
    point: np.ndarray = (members / members[:, -1:] - nonmembers / nonmembers[:, -1:]).argmax(1)
    return point


class Folds:
    """Two sides whose blocks lie in folds, and their counts as blocks are drawn ``rounds`` times."""

    def __init__(self, members: Side, nonmembers: Side, *, rounds: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.sides = members, nonmembers
        self.points = np.unique(np.concatenate([members.scores, nonmembers.scores]))[::-1]
        self.weights = [_draws(side, rounds, rng) for side in self.sides]
        self.folds = [int(fold) for fold in np.unique(np.concatenate([side.fold for side in self.sides]))]

    def resolves(self, rate: float) -> bool:
        """Whether in every fold the non-members of the others are enough for a false positive rate."""
        fold = self.sides[1].fold
        return all(rate * (fold != one).sum() >= FEWEST_ABOVE - 1e-9 for one in self.folds)

    def called(self, choices: Sequence[Choice]) -> list[Called]:
        """By thresholds of the other folds, for each way to choose them; nan in draws that leave these one side alone.

        Raises InputError where the other folds hold images of one side alone as they are.
        """
        totals = np.zeros((len(choices), 4, len(self.weights[0])))
        for fold in self.folds:
            others = [self._counts(which, self.sides[which].fold != fold) for which in (0, 1)]
            empty = (others[0][:, -1] == 0) | (others[1][:, -1] == 0)
            if empty[0]:
                raise InputError(
                    "blocks: a side's are all in one fold; at least two are needed on either side"
                )
            inside = [self._counts(which, self.sides[which].fold == fold) for which in (0, 1)]
            for total, choose in zip(totals, choices, strict=True):
                with np.errstate(invalid="ignore"):
                    point = choose(*others)
                for which, counts in enumerate(inside):
                    at_point = np.take_along_axis(counts, point[:, None], 1)[:, 0]
                    total[2 * which] += np.where(empty, np.nan, np.where(point < 0, 0, at_point))
                    total[2 * which + 1] += counts[:, -1]
        return [Called(*total) for total in totals]

    def _counts(self, which: int, some: np.ndarray) -> Counts:
        """Of the images ``some``."""
        side, weights = self.sides[which], self.weights[which]
        place = np.searchsorted(-self.points, -side.scores[some])
        table = np.zeros((weights.shape[1], len(self.points)))
        np.add.at(table, (side.block[some], place), 1)
        counts: np.ndarray = (weights @ table).cumsum(1)
        return counts


def _draws(side: Side, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """How often each block is in each draw; once in the first."""
    count = int(side.block.max()) + 1
    return np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), rounds)])
