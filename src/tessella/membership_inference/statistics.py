"""How well scores tell members from non-members, and how sure that is.

A score is one number for an image, larger the more likely it was trained on.
"""

from collections.abc import Hashable, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import beta, norm, rankdata, t

from tessella.errors import InputError
from tessella.membership_inference.blocks import numbered

Scores = Float[np.ndarray, " images"]

FEWEST_ABOVE = 3
"""So many of the non-members that a threshold is chosen by must be allowed to lie above it."""

CURVE_POINTS = 160
"""Of a curve that is kept: more draw the same line."""


class Estimate(NamedTuple):
    """A number and its confidence interval."""

    value: float
    low: float
    high: float


class Curve(NamedTuple):
    """What each threshold gives, from the strictest down: images with a score of at least it are called members."""

    thresholds: Float[np.ndarray, " points"]
    false_positive_rate: Float[np.ndarray, " points"]
    true_positive_rate: Float[np.ndarray, " points"]


def roc(members: Scores, nonmembers: Scores) -> Curve:
    """Equal scores share a point; the first is (0, 0), with threshold infinity.

    Raises InputError where a side has no score, or one is not a number.
    """
    _check(members, nonmembers)
    scores = np.concatenate([members, nonmembers])
    order = np.argsort(-scores, kind="stable")
    is_member = np.arange(len(scores))[order] < len(members)
    ordered = scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # not by differences: those of infinities are NaN
    true, false = is_member.cumsum()[last], (~is_member).cumsum()[last]
    return Curve(
        np.append(np.inf, ordered[last]),
        np.append(0, false) / len(nonmembers),
        np.append(0, true) / len(members),
    )


def thinned(curve: Curve, points: int = CURVE_POINTS) -> Curve:
    """At most so many points of a curve: its ends, evenly many between, and some of false positive rates as many times
    apart as the next ones.

    Of equal rates among these it is the point of the most members found, so that what few false positives give is as it
    was.
    """
    count = len(curve.thresholds)
    if count <= points:
        return curve
    false = curve.false_positive_rate
    rates = np.append(0, np.geomspace(false[false > 0].min(), 1, points // 2 - 1))
    kept = np.unique(
        np.concatenate(
            [
                np.searchsorted(false, rates * (1 + 1e-9), side="right") - 1,
                np.linspace(0, count - 1, points - points // 2).astype(int),
            ]
        )
    )
    return Curve(*(values[kept] for values in curve))


def auc(members: Scores, nonmembers: Scores) -> float:
    """The chance that a member has a larger score than a non-member; equal scores count half. Raises as ``roc``."""
    _check(members, nonmembers)
    ranks = rankdata(np.concatenate([members, nonmembers]))[: len(members)]
    return float((ranks.mean() - (len(members) + 1) / 2) / len(nonmembers))


def threshold_at(nonmembers: Scores, rate: float) -> float | None:
    """The lowest threshold that calls at most ``rate`` of these non-members members.

    None where they cannot resolve the rate: ``FEWEST_ABOVE`` of them should be allowed to lie above it.
    """
    allowed = int(np.floor(rate * len(nonmembers) + 1e-9))
    if rate * len(nonmembers) < FEWEST_ABOVE - 1e-9:
        return None
    # Just above the highest score that must not count.
    return (
        float(np.nextafter(np.sort(nonmembers)[::-1][allowed], np.inf))
        if allowed < len(nonmembers)
        else -np.inf
    )


def best_threshold(members: Scores, nonmembers: Scores) -> float:
    """The one of the highest balanced accuracy; to be used on other data."""
    curve = roc(members, nonmembers)
    return float(curve.thresholds[np.argmax(curve.true_positive_rate - curve.false_positive_rate)])


def proportion(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share with the exact interval of Clopper and Pearson (1934); nan, 0 and 1 without trials."""
    if trials == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return Estimate(successes / trials, low, high)


def share_of_blocks(
    successes: Float[np.ndarray, " draws"],
    trials: Float[np.ndarray, " draws"],
    blocks: int,
    confidence: float = 0.95,
) -> Estimate:
    """A share of images that hang together in ``blocks``: Clopper and Pearson's interval for fewer, independent images.

    The first draw is what was observed, the others are of blocks drawn anew. So many independent images are counted
    as would vary as much as the draws do, and fewer where blocks are few (Korn and Graubard, Survey Methodology 1998).
    A share of 0 or 1 does not vary: it counts as of one image for each block. nan, 0 and 1 without trials; 0 to 1 of
    one block, or one image.
    """
    images = float(trials[0])
    if not images:
        return Estimate(float("nan"), 0.0, 1.0)
    share = float(successes[0] / images)
    if min(blocks, images) < 2:
        return Estimate(share, 0.0, 1.0)
    blocks = min(blocks, int(images))  # each holds one at least
    independent = float(blocks)
    if 0 < share < 1:
        with np.errstate(invalid="ignore"):
            variance = float(np.nanvar(successes[1:] / trials[1:])) * blocks / (blocks - 1)
        independent = min(images, share * (1 - share) / variance) if variance else images
    tail = (1 - confidence) / 2
    independent = min(independent * (t.ppf(tail, images - 1) / t.ppf(tail, blocks - 1)) ** 2, images)
    found, missed = independent * share, independent * (1 - share)
    low = float(beta.ppf(tail, found, missed + 1)) if found else 0.0
    high = float(beta.ppf(1 - tail, found + 1, missed)) if missed else 1.0
    return Estimate(share, low, high)


def bootstrap_auc(
    members: Scores,
    nonmembers: Scores,
    member_blocks: Sequence[Hashable],
    nonmember_blocks: Sequence[Hashable],
    *,
    rounds: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """``auc`` with the interval of a bootstrap over blocks: frames of one video are not independent.

    blocks: for each image, what it is drawn together with. Sides are drawn separately; one of a single block does not
    say how others differ, so that the interval is all from 0 to 1. Its 95% are tested
    from four blocks a side on. Raises as ``roc``.
    """
    _check(members, nonmembers)
    for blocks, scores in ((member_blocks, members), (nonmember_blocks, nonmembers)):
        if len(blocks) != len(scores):
            raise InputError(f"blocks: {len(blocks)} for {len(scores)} scores; give one for each image")
    of_members, of_nonmembers = numbered(member_blocks), numbered(nonmember_blocks)
    counts = np.bincount(of_members), np.bincount(of_nonmembers)
    # How many pairs each pair of blocks wins: what is drawn only weighs these.
    wins = np.zeros((len(counts[0]), len(counts[1])))
    for score, block in zip(members, of_members, strict=True):
        won = (score > nonmembers) + 0.5 * (score == nonmembers)
        wins[block] += np.bincount(of_nonmembers, won, len(counts[1]))
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(len(count), np.full(len(count), 1 / len(count)), rounds) for count in counts]
    pairs = (drawn[0] @ counts[0]) * (drawn[1] @ counts[1])
    values = ((drawn[0] @ wins) * drawn[1]).sum(1) / pairs
    fewest = min(map(len, counts))
    if fewest == 1:
        return Estimate(auc(members, nonmembers), 0.0, 1.0)
    # Draws of few blocks vary too little: percentiles as far out as Student's t has them (Hesterberg 2015).
    reach = t.ppf((1 - confidence) / 2, fewest - 1) * np.sqrt(fewest / (fewest - 1))
    low, high = np.quantile(values, norm.cdf([reach, -reach]))
    if comb(len(counts[0]) + len(counts[1]), fewest) * (1 - confidence) / 2 < 1:
        low, high = min(low, 0.5), max(high, 0.5)  # chance deals so few blocks to such sides too often
    return Estimate(auc(members, nonmembers), float(low), float(high))


def histogram_similarity(first: Scores, second: Scores, bins: int = 100) -> float:
    """The intersection of two histograms of numbers from 0 to 1, each of sum 1: 1 where they are alike (figure 7.7)."""
    shares = [np.histogram(values, bins, (0, 1))[0] / max(len(values), 1) for values in (first, second)]
    return float(np.minimum(*shares).sum())


def epsilon_lower_bound(
    true: int, members: int, false: int, nonmembers: int, delta: float = 1e-5, confidence: float = 0.95
) -> float:
    """``epsilon_of_rates`` of independent images: how many members and non-members were called members."""
    return epsilon_of_rates(
        proportion(true, members, confidence), proportion(false, nonmembers, confidence), delta
    )


def epsilon_of_rates(found: Estimate, taken: Estimate, delta: float = 1e-5) -> float:
    """The epsilon that the training must have had at least, if it was (epsilon, delta)-private; 0 if nothing is shown.

    found, taken: the shares of members and of non-members that an attack called members, with a threshold from other
    data; which images were members must have been left to chance (Nasr et al., S&P 2021). Private training allows a
    true positive rate of exp(epsilon) times the false positive rate, plus delta, and the same of negatives. Both rates
    are taken at the bad ends of their intervals.
    """
    bounds = [0.0]
    for gain, cost in ((found.low, taken.high), (1 - taken.high, 1 - found.low)):
        if gain > delta and cost > 0:
            bounds.append(float(np.log((gain - delta) / cost)))
    return max(bounds)


def _check(members: Scores, nonmembers: Scores) -> None:
    for name, scores in (("members", members), ("nonmembers", nonmembers)):
        if not len(scores):
            raise InputError(f"{name}: there is no score; at least one image is needed on either side")
        if np.isnan(scores).any():
            raise InputError(f"{name}: a score is not a number, of image {int(np.isnan(scores).argmax())}")
