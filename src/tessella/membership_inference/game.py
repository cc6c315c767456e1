"""How well an attack does when every model of a game is its victim in turn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from tessella.errors import InputError
from tessella.membership_inference.assess import RATES, RECALL
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.statistics import (
    FEWEST_ABOVE,
    Curve,
    Estimate,
    auc,
    best_threshold,
    roc,
    thinned,
    threshold_at,
)

Scores = Float[np.ndarray, "models images"]


@dataclass(frozen=True)
class GameAssessment:
    """Means over victims, with intervals of 95% by drawing blocks of images, the same for all victims.

    aucs: of each victim. balanced_accuracy, precision, recall, true_positives, false_positives: by thresholds from the
    other victims, where an attacker who trains models of his own would find his: the best one, that of a recall of 0.8
    (precision and recall), those of rates asked for; None is what too few non-members cannot resolve.
    auc_among_attacks: the same AUC with an interval that holds for all of so many attacks together.
    curve: over all victims' scores, ``thinned``.
    """

    auc: Estimate
    auc_among_attacks: Estimate
    aucs: tuple[float, ...]
    balanced_accuracy: Estimate
    precision: Estimate
    recall: Estimate
    true_positives: dict[float, Estimate | None]
    false_positives: dict[float, Estimate | None]
    curve: Curve


def assess_game(
    scores: Scores,
    members: Bool[np.ndarray, "models images"],
    block: Int[np.ndarray, " images"],
    *,
    among: int = 1,
    rounds: int = 1000,
    seed: int = 0,
) -> GameAssessment:
    """scores: of each image when each model is the victim, larger for likelier members; nan where there is none.

    block: what is drawn together, whole blocks being members or not; images of ``DROPPED`` are left out. among: how
    many attacks are tried, of which one finds something by chance.

    Raises InputError where a victim has scores of one side alone, and for less than two victims.
    """
    if len(scores) < 2:
        raise InputError(
            f"scores: of {len(scores)} models; thresholds are from other victims, give two or more"
        )
    members = np.asarray(members, bool)  # of 0 and 1, ~ would make -1 and -2
    kept = (block != DROPPED) & np.isfinite(scores)
    inside, outside = members & kept, ~members & kept
    if not (inside.any(1) & outside.any(1)).all():
        raise InputError("scores: a model has none of its members, or none of the others")
    victims = range(len(scores))
    count = int(block.max()) + 1
    rng = np.random.default_rng(seed)
    # The first is what was observed: each block once.
    weights = np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), rounds)])

    def mean(of_victim: Callable[[int], np.ndarray]) -> Estimate:
        """of_victim: [1 + rounds] values."""
        return _interval(np.nanmean([of_victim(victim) for victim in victims], axis=0))

    def share(victim: int, which: np.ndarray, threshold: float) -> np.ndarray:
        """Of ``which`` images those that are called members, in every draw."""
        sizes = np.bincount(block[which], minlength=count)
        called = np.bincount(block[which & (scores[victim] >= threshold)], minlength=count)
        with np.errstate(invalid="ignore"):
            return (weights @ called) / (weights @ sizes)

    def others(victim: int, side: np.ndarray) -> np.ndarray:
        return np.concatenate([scores[other][side[other]] for other in victims if other != victim])

    def by(choose: Callable[[np.ndarray, np.ndarray], float | None]) -> tuple[Estimate, Estimate] | None:
        """True and false positive rates."""
        thresholds = [choose(others(victim, inside), others(victim, outside)) for victim in victims]
        known = [threshold for threshold in thresholds if threshold is not None]
        if len(known) < len(thresholds):
            return None
        return (
            mean(lambda v: share(v, inside[v], known[v])),
            mean(lambda v: share(v, outside[v], known[v])),
        )

    best = [best_threshold(others(v, inside), others(v, outside)) for v in victims]
    recalled = [float(np.quantile(others(v, inside), 1 - RECALL)) for v in victims]

    def precision(v: int) -> np.ndarray:
        true = share(v, inside[v], recalled[v]) * inside[v].sum()
        false = share(v, outside[v], recalled[v]) * outside[v].sum()
        with np.errstate(invalid="ignore"):
            return true / (true + false)

    # An image is a non-member of several victims, and still one image.
    images = outside.any(0).sum()
    rates = {
        rate: by(lambda members, nonmembers, rate=rate: threshold_at(nonmembers, rate))  # type: ignore[misc]
        if rate * images >= FEWEST_ABOVE
        else None
        for rate in RATES
    }
    areas = np.nanmean([_auc(scores[v], inside[v], outside[v], block, weights) for v in victims], axis=0)
    return GameAssessment(
        auc=_interval(areas),
        auc_among_attacks=_interval(areas, among),
        aucs=tuple(auc(scores[v][inside[v]], scores[v][outside[v]]) for v in victims),
        balanced_accuracy=mean(
            lambda v: (share(v, inside[v], best[v]) + 1 - share(v, outside[v], best[v])) / 2
        ),
        precision=mean(precision),
        recall=mean(lambda v: share(v, inside[v], recalled[v])),
        true_positives={rate: pair[0] if pair else None for rate, pair in rates.items()},
        false_positives={rate: pair[1] if pair else None for rate, pair in rates.items()},
        curve=thinned(roc(scores[inside], scores[outside])),
    )


def _interval(values: np.ndarray, among: int = 1) -> Estimate:
    """values: what was observed, and what each draw gave."""
    tail = 0.025 / among
    low, high = np.nanquantile(values[1:], [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high))


def _auc(
    scores: np.ndarray, inside: np.ndarray, outside: np.ndarray, block: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """In every draw, from how many pairs of images each pair of blocks wins."""
    count = weights.shape[1]
    wins = np.zeros((count, count))
    for place in np.flatnonzero(inside):
        won = (scores[place] > scores[outside]) + 0.5 * (scores[place] == scores[outside])
        wins[block[place]] += np.bincount(block[outside], won, count)
    sizes = [np.bincount(block[side], minlength=count) for side in (inside, outside)]
    with np.errstate(invalid="ignore"):
        value: np.ndarray = ((weights @ wins) * weights).sum(1) / (
            (weights @ sizes[0]) * (weights @ sizes[1])
        )
    return value
