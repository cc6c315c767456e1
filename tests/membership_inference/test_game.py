"""Games whose outcome is known."""

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.membership_inference.blocks import DROPPED, coin_flips
from tessella.membership_inference.game import assess_game
from tessella.membership_inference.statistics import auc


def play(gain=0.0, models=8, blocks=60, length=10, seed=0, effect=0.0):
    """effect: what frames of a block have in common."""
    rng = np.random.default_rng(seed)
    block = np.arange(blocks).repeat(length)
    block[::20] = DROPPED
    members = coin_flips(block, models, seed)
    shared = effect * rng.normal(size=(models, blocks)).repeat(length, 1)
    scores = gain * members + shared + rng.normal(size=members.shape)
    return scores, members, block


def test_values_are_means_over_victims():
    scores, members, block = play(gain=1.0)
    found = assess_game(scores, members, block)
    kept = block != DROPPED
    expected = [auc(row[m], row[~m & kept]) for row, m in zip(scores, members, strict=True)]
    assert found.aucs == pytest.approx(expected)
    assert found.auc.value == pytest.approx(np.mean(expected))
    for number, rate in enumerate((0.1, 0.01)):
        true, false = [], []
        for victim in range(8):
            others = np.arange(8) != victim
            threshold = np.quantile(scores[others][~members[others] & kept], 1 - rate)
            true.append((scores[victim][members[victim]] >= threshold).mean())
            false.append((scores[victim][~members[victim] & kept] >= threshold).mean())
        assert found.true_positives[rate].value == pytest.approx(np.mean(true), abs=0.01), number
        assert found.false_positives[rate].value == pytest.approx(np.mean(false), abs=0.005)
        assert found.false_positives[rate].value == pytest.approx(rate, abs=0.02)
    assert found.true_positives[0.001] is None  # some 2000 non-members of others cannot resolve it
    images = play(gain=1.0, models=16, blocks=64)
    assert assess_game(*images).true_positives[0.001] is None  # nor can 4000, which are 600 images many times
    assert found.recall.value == pytest.approx(0.8, abs=0.03)
    assert found.curve.true_positive_rate[-1] == 1


def test_a_planted_leak_of_known_size():
    """Two normals one deviation apart: an AUC of 0.76, and 0.39 of members at 10% false positives."""
    found = assess_game(*play(gain=1.0, models=16))
    assert found.auc.low < 0.760 < found.auc.high
    assert found.auc.high - found.auc.low < 0.04
    assert found.balanced_accuracy.value == pytest.approx(0.691, abs=0.01)
    assert found.true_positives[0.1].value == pytest.approx(0.389, abs=0.03)
    assert found.precision.value == pytest.approx(0.8 / (0.8 + 0.437), abs=0.02)


def test_calibration():
    """Without a leak the interval holds 0.5 about as often as it says, frames of a block alike or not."""
    for effect in (0.0, 1.5):
        found = [assess_game(*play(seed=seed, effect=effect), rounds=300).auc for seed in range(40)]
        assert sum(e.low <= 0.5 <= e.high for e in found) >= 34


def test_members_as_numbers():
    scores, members, block = play(gain=1.0, blocks=20)
    found, expected = (assess_game(scores, m, block, rounds=20) for m in (members.astype(int), members))
    assert (found.auc, found.aucs) == (expected.auc, expected.aucs)


def test_one_model_has_no_other_victims():
    scores, members, block = play(models=2)
    with pytest.raises(InputError, match=r"scores: of 1 models; .* give two or more"):
        assess_game(scores[:1], members[:1], block)


def test_missing_scores():
    scores, members, block = play(gain=1.0)
    scores[0, 40:60] = np.nan
    kept = (block != DROPPED) & np.isfinite(scores[0])
    found = assess_game(scores, members, block)
    assert found.aucs[0] == pytest.approx(auc(scores[0][members[0] & kept], scores[0][~members[0] & kept]))
    scores[1, members[1]] = np.nan
    with pytest.raises(InputError, match="none of its members"):
        assess_game(scores, members, block)


def test_an_interval_among_attacks_is_wider_and_of_the_same_value():
    scores, members, block = play(gain=1.0)
    alone, among = (assess_game(scores, members, block, among=number) for number in (1, 20))
    assert alone.auc_among_attacks == alone.auc == among.auc
    assert among.auc_among_attacks.value == among.auc.value
    assert among.auc_among_attacks.low < among.auc.low
    assert among.auc_among_attacks.high > among.auc.high
