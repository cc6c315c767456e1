"""A planted leak is found with its size, and nothing is found where there is none."""

import numpy as np
import pytest
from scipy.stats import norm

from tessella.errors import InputError
from tessella.membership_inference.assess import RATES, assess
from tessella.membership_inference.blocks import folds


def drawn(shift, images=2000, blocks=200, seed=0):
    rng = np.random.default_rng(seed)
    of_image = np.repeat(np.arange(blocks), images // blocks)
    return rng.normal(shift, 1, images), rng.normal(0, 1, images), of_image, of_image


def test_a_leak_of_known_size():
    found = assess(*drawn(1.0))
    assert found.auc.low < norm.cdf(1 / np.sqrt(2)) < found.auc.high
    assert found.balanced_accuracy.low < norm.cdf(0.5) < found.balanced_accuracy.high
    for rate in (0.1, 0.01):
        expected = norm.sf(norm.isf(rate) - 1)
        assert found.true_positives[rate].value == pytest.approx(expected, abs=0.03)
        assert found.false_positives[rate].low < rate < found.false_positives[rate].high
    assert found.true_positives[0.001] is None  # of 2000, a threshold has 1600 to go by
    assert 0.5 < found.epsilon < 3


def test_no_leak():
    """Twenty times: intervals hold one half as often as they say, and no privacy is shown to be lacking."""
    found = [assess(*drawn(0.0, images=300, blocks=60, seed=seed)) for seed in range(20)]
    assert sum(one.auc.low <= 0.5 <= one.auc.high for one in found) >= 17
    assert sum(one.balanced_accuracy.low <= 0.5 <= one.balanced_accuracy.high for one in found) >= 18
    assert sum(one.epsilon > 0 for one in found) <= 2


def test_few_images_resolve_little():
    found = assess(*drawn(1.0, images=40, blocks=8))
    assert [found.true_positives[rate] is None for rate in RATES] == [False, True, True]
    alone = assess(np.array([1.0, 2.0]), np.array([0.0, 0.5]), [0, 0], [0, 0])
    assert alone.auc.value == 1
    assert np.isnan(alone.balanced_accuracy.value)
    assert alone.epsilon == 0


def test_a_threshold_is_not_judged_by_the_images_it_was_chosen_on():
    """Blocks that all have one score of their own: chosen on themselves, thresholds would look better than chance."""
    rng, of_image = np.random.default_rng(1), np.repeat(np.arange(10), 30)
    accuracies = []
    for _ in range(30):
        members, nonmembers = (np.repeat(rng.normal(size=10), 30) for _ in range(2))
        accuracies.append(assess(members, nonmembers, of_image, of_image).balanced_accuracy.value)
    assert np.mean(accuracies) < 0.52


def test_nothing_to_assess():
    with pytest.raises(InputError, match="members: there is no score"):
        assess(np.zeros(0), np.zeros(3), [], [0, 1, 2])


def test_frames_of_a_video_count_as_what_they_are():
    """Thirty blocks of ten frames nearly alike on either side, without a leak: intervals hold what is true."""

    def null(seed):
        rng = np.random.default_rng(seed)
        sides = (np.repeat(rng.normal(size=30), 10) + 0.5 * rng.normal(size=300) for _ in range(2))
        of_image = np.repeat(np.arange(30), 10)
        return assess(*sides, of_image, of_image)

    found = [null(seed) for seed in range(40)]
    for estimates, truth in (
        ([one.true_positives[0.1] for one in found], 0.1),
        ([one.false_positives[0.1] for one in found], 0.1),
        ([one.balanced_accuracy for one in found], 0.5),
        ([one.precision for one in found], 0.5),
    ):
        assert sum(one.low <= truth <= one.high for one in estimates) >= 36
    assert sum(one.epsilon > 0 for one in found) <= 1


def test_precision_by_thresholds_of_other_blocks():
    """Against counting."""
    members, nonmembers, of_image, _ = drawn(1.0, images=60, blocks=30)
    found = assess(members, nonmembers, of_image, of_image).precision
    fold = folds(of_image, 5, 0)
    true = false = 0
    for one in range(5):
        others = np.sort(members[fold != one])[::-1]
        threshold = others[int(np.ceil(0.8 * len(others))) - 1]
        true += (members[fold == one] >= threshold).sum()
        false += (nonmembers[fold == one] >= threshold).sum()
    assert found.value == pytest.approx(true / (true + false))
    assert found.low < found.value < found.high
