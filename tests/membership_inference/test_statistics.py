"""Against counting, published tables and simulation."""

import numpy as np
import pytest
from scipy.stats import binom

from tessella.errors import InputError
from tessella.membership_inference.statistics import (
    CURVE_POINTS,
    auc,
    best_threshold,
    bootstrap_auc,
    epsilon_lower_bound,
    histogram_similarity,
    proportion,
    roc,
    share_of_blocks,
    thinned,
    threshold_at,
)


def sides(rng, members=30, nonmembers=40, shift=1.0, step=0.5):
    """Scores with many ties."""
    return (
        np.round(rng.normal(shift, 1, members) / step) * step,
        np.round(rng.normal(0, 1, nonmembers) / step) * step,
    )


def test_auc_counts_pairs():
    members, nonmembers = sides(np.random.default_rng(0))
    pairs = [float(m > n) + 0.5 * (m == n) for m in members for n in nonmembers]
    assert auc(members, nonmembers) == pytest.approx(np.mean(pairs))
    assert auc(members, nonmembers) + auc(nonmembers, members) == pytest.approx(1)
    assert auc(np.ones(3), np.zeros(2)) == 1


def test_roc_gives_what_its_thresholds_give():
    members, nonmembers = sides(np.random.default_rng(1))
    curve = roc(members, nonmembers)
    for threshold, false, true in zip(*curve, strict=True):
        assert false == (nonmembers >= threshold).mean()
        assert true == (members >= threshold).mean()
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(auc(members, nonmembers))


def test_infinite_scores_share_a_point():
    inf = np.inf
    curve = roc(np.array([inf, inf, 1.0, -inf]), np.array([inf, -inf]))
    assert curve.thresholds.tolist() == [inf, inf, 1, -inf]
    assert curve.false_positive_rate.tolist() == [0, 0.5, 0.5, 1]
    assert curve.true_positive_rate.tolist() == [0, 0.5, 0.75, 1]


def test_clopper_and_pearson():
    """The bounds are where the observation is as unlikely as allowed; a published value: 0 of 20 gives 0.168."""
    found = proportion(7, 40)
    assert binom.sf(6, 40, found.low) == pytest.approx(0.025)
    assert binom.cdf(7, 40, found.high) == pytest.approx(0.025)
    assert proportion(0, 20).high == pytest.approx(0.168, abs=5e-4)
    assert proportion(20, 20).low == pytest.approx(1 - 0.168, abs=5e-4)
    assert (proportion(0, 0).low, proportion(0, 0).high) == (0, 1)


@pytest.mark.parametrize(
    ("count", "rate", "resolved"), [(299, 0.01, False), (300, 0.01, True), (3000, 0.001, True)]
)
def test_rates_that_cannot_be_resolved(count, rate, resolved):
    scores = np.random.default_rng(3).normal(size=count)
    threshold = threshold_at(scores, rate)
    assert (threshold is not None) == resolved
    if threshold is not None:
        allowed = np.floor(rate * count + 1e-9)
        assert (scores >= threshold).sum() == allowed
        assert (scores >= np.nextafter(threshold, -np.inf)).sum() == allowed + 1


def test_ties_at_the_threshold_are_not_let_through():
    scores = np.repeat([0.0, 1.0], [90, 10])
    assert (scores >= threshold_at(scores, 0.05)).mean() == 0
    assert (scores >= threshold_at(scores, 0.1)).mean() == 0.1
    assert threshold_at(scores, 1.0) == -np.inf


def test_the_best_threshold():
    members, nonmembers = sides(np.random.default_rng(4))

    def gain(threshold):
        return (members >= threshold).mean() - (nonmembers >= threshold).mean()

    assert gain(best_threshold(members, nonmembers)) == max(gain(t) for t in (*members, *nonmembers, np.inf))


def test_intervals_hold_what_is_true_as_often_as_they_say():
    """Of blocks whose images are nearly equal: images taken one by one would be far too sure."""
    rng, truth = np.random.default_rng(5), 0.7602  # P(X + 1 > Y) of two standard normal numbers
    held = [0, 0]
    for round_ in range(60):
        blocks = np.repeat(np.arange(25), 8)
        members, nonmembers = (
            np.repeat(rng.normal(shift, 1, 25), 8) + rng.normal(0, 0.01, 200) for shift in (1.0, 0.0)
        )
        for place, grouping in enumerate((blocks, np.arange(200))):
            found = bootstrap_auc(members, nonmembers, grouping, grouping, rounds=150, seed=round_)
            held[place] += found.low <= truth <= found.high
    assert held[0] >= 50
    assert held[1] <= 40


def test_intervals_from_few_blocks_are_wide_enough():
    """Of four a side, where plain percentiles hold the truth 87 times in 100; one block says nothing."""
    rng, blocks = np.random.default_rng(8), np.repeat(np.arange(4), 4)
    held = 0
    for round_ in range(200):
        members, nonmembers = (rng.normal(0, 1, 4).repeat(4) + rng.normal(0, 0.6, 16) for _ in range(2))
        found = bootstrap_auc(members, nonmembers, blocks, blocks, seed=round_)
        held += found.low <= 0.5 <= found.high
    assert held >= 183  # of 190 that are meant
    assert bootstrap_auc(np.ones(4), np.zeros(4), [0] * 4, [0, 1, 2, 3]) == (1, 0, 1)


def test_blocks_that_chance_parts_as_well():
    """Three and three blocks can be dealt in 20 ways, so that one of them is no wonder; four and four in 70."""
    for number, low in ((3, 0.5), (4, 1.0)):
        blocks = np.repeat(np.arange(number), 2)
        assert bootstrap_auc(np.ones(2 * number), np.zeros(2 * number), blocks, blocks) == (1, low, 1)


def test_similarity_of_histograms():
    rng = np.random.default_rng(6)
    values = rng.uniform(size=500)
    assert histogram_similarity(values, values) == pytest.approx(1)
    assert histogram_similarity(np.full(4, 0.105), np.full(9, 0.205)) == 0
    assert histogram_similarity(np.array([0.1, 0.9]), np.array([0.1, 0.1])) == pytest.approx(0.5)


def test_epsilon_of_randomised_response():
    """Whose epsilon is known: the bound stays below it, and comes near with many images."""
    rng, epsilon = np.random.default_rng(7), 1.5
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))
    bounds = np.array(
        [
            epsilon_lower_bound(rng.binomial(20_000, truth), 20_000, rng.binomial(20_000, 1 - truth), 20_000)
            for _ in range(20)
        ]
    )
    assert (bounds <= epsilon).mean() >= 0.9
    assert bounds.mean() > 1.4
    assert epsilon_lower_bound(100, 200, 100, 200) == 0
    assert epsilon_lower_bound(0, 0, 0, 10) == 0


def test_what_cannot_be_scored_is_said():
    scores = np.ones(3)
    with pytest.raises(InputError, match="nonmembers: there is no score"):
        auc(scores, np.zeros(0))
    with pytest.raises(InputError, match="members: a score is not a number, of image 1"):
        roc(np.array([0, np.nan, 1]), scores)
    with pytest.raises(InputError, match="blocks: 2 for 3 scores"):
        bootstrap_auc(scores, scores, [0, 1], [0, 1, 2])


def test_a_share_of_independent_images():
    """As many blocks as images: the interval of Clopper and Pearson."""
    rng = np.random.default_rng(0)
    called = rng.random(400) < 0.3
    weights = np.vstack([np.ones(400), rng.multinomial(400, np.full(400, 1 / 400), 4000)])
    found = share_of_blocks(weights @ called, weights.sum(1), 400)
    assert found == pytest.approx(proportion(int(called.sum()), 400), abs=0.005)
    assert share_of_blocks(np.array([0.0, 0.0]), np.array([20.0, 20.0]), 20).high == pytest.approx(
        0.168, abs=0.01
    )


def test_a_share_of_blocks_that_are_all_alike():
    """Ten images of each block are worth one: of 300, an interval as of 30."""
    rng = np.random.default_rng(0)
    called = np.repeat(rng.random(30) < 0.3, 10)
    weights = np.repeat(np.vstack([np.ones(30), rng.multinomial(30, np.full(30, 1 / 30), 4000)]), 10, axis=1)
    found = share_of_blocks(weights @ called, weights.sum(1), 30)
    few, many = proportion(int(called[::10].sum()), 30), proportion(int(called.sum()), 300)
    assert found.value == many.value
    assert found.low == pytest.approx(few.low, abs=0.02)
    assert found.high == pytest.approx(few.high, abs=0.02)
    assert share_of_blocks(np.array([30.0]), np.array([300.0]), 1) == (0.1, 0.0, 1.0)
    assert np.isnan(share_of_blocks(np.zeros(2), np.zeros(2), 4).value)


def test_a_share_of_fewer_images_than_blocks():
    """Those that are counted lie in as many blocks at most as there are of them."""
    assert share_of_blocks(np.full(4, 3.0), np.full(4, 3.0), 50) == pytest.approx(proportion(3, 3))
    assert share_of_blocks(np.ones(4), np.ones(4), 50) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("ties", [False, True])
def test_a_thinned_curve_keeps_its_ends_and_what_few_false_positives_give(ties):
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 3000), rng.normal(size=3000)
    if ties:
        members, others = members.round(2), others.round(2)
    whole = roc(members, others)
    thin = thinned(whole)
    assert len(thin.thresholds) <= CURVE_POINTS <= 200
    points = set(zip(*(values.tolist() for values in whole), strict=True))
    assert set(zip(*(values.tolist() for values in thin), strict=True)) <= points
    for values in thin[1:]:
        assert (values[0], values[-1]) == (0, 1)
        assert (np.diff(values) >= 0).all()
    for rate in (0, 1 / 3000, 0.01, 0.1):  # the steps of the two curves differ little
        found = [
            c.true_positive_rate[c.false_positive_rate <= rate * (1 + 1e-9)].max() for c in (whole, thin)
        ]
        assert found[1] == pytest.approx(found[0], abs=0 if rate < 0.001 else 0.02)
    # Linear between points, the area is what it was.
    areas = [
        float(
            (
                np.diff(c.false_positive_rate) * (c.true_positive_rate[1:] + c.true_positive_rate[:-1]) / 2
            ).sum()
        )
        for c in (whole, thin)
    ]
    assert areas[1] == pytest.approx(areas[0], abs=1e-3)


def test_a_short_curve_is_left_alone():
    whole = roc(np.arange(5.0), np.arange(5.0) - 1)
    assert thinned(whole) is whole
