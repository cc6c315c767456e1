"""What a game shows of differential privacy: the epsilon that its models must have been trained with at least."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from tessella.membership_inference.assess import RATES
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.statistics import best_threshold, epsilon_lower_bound, threshold_at


class GameEpsilon(NamedTuple):
    """epsilon: of a training on one block more or less, which holds at 95%; 0 if nothing is shown.

    trials: of members and non-members, one for each victim and block. largest: images of the largest block. What is
    (e, d)-private towards one image is (k e, k exp(k e) d)-private towards k of them (Dwork and Roth 2014, theorem 2.2,
    for d = 0): epsilon / largest bounds e, at a d smaller in proportion.
    """

    epsilon: float
    trials: tuple[int, int]
    largest: int

    @property
    def of_an_image(self) -> float:
        return self.epsilon / self.largest


def epsilon_of_game(
    scores: Float[np.ndarray, "models images"],
    members: Bool[np.ndarray, "models images"],
    block: Int[np.ndarray, " images"],
    seed: int = 0,
) -> GameEpsilon:
    """By one attack that was chosen beforehand; scores and blocks as ``assess_game`` takes them.

    Images of a block are members together, by one toss of a coin: of each block one image counts for each victim,
    chosen by ``seed``, or one toss would count many times. A block's tosses are balanced over models, which no attack
    here looks at. Thresholds are from the other victims: the best one, and those of ``RATES``. The largest bound
    counts, each at a confidence that makes up for their number.
    """
    members = np.asarray(members, bool)  # of 0 and 1, ~ would make -1 and -2
    kept = (block != DROPPED) & np.isfinite(scores)
    inside, outside = members & kept, ~members & kept
    tried = np.array([_one_of_each(block, row, seed + victim) for victim, row in enumerate(kept)])
    counts = []
    for rate in (None, *RATES):
        called = np.zeros_like(kept)
        for victim in range(len(scores)):
            others = np.arange(len(scores)) != victim
            found, taken = scores[others][inside[others]], scores[others][outside[others]]
            threshold = best_threshold(found, taken) if rate is None else threshold_at(taken, rate)
            if threshold is None:
                break
            called[victim] = scores[victim] >= threshold
        else:
            counts.append([int((called & tried & side).sum()) for side in (inside, outside)])
    trials = int((tried & inside).sum()), int((tried & outside).sum())
    each = 1 - 0.05 / len(counts)
    bounds = [
        epsilon_lower_bound(true, trials[0], false, trials[1], confidence=each) for true, false in counts
    ]
    return GameEpsilon(max(bounds), trials, int(np.bincount(block[block != DROPPED]).max()))


def _one_of_each(
    block: Int[np.ndarray, " images"], allowed: Bool[np.ndarray, " images"], seed: int
) -> Bool[np.ndarray, " images"]:
    """One allowed image of each block."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(allowed))
    chosen = np.zeros(len(block), bool)
    chosen[order[np.unique(block[order], return_index=True)[1]]] = True
    return chosen
