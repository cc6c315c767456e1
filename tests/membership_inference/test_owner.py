"""The p-value is one."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from tessella.errors import InputError
from tessella.membership_inference.owner import owners_test


def test_p_values_are_uniform_when_nothing_was_used():
    """Also of images that come in blocks, whose scores hang together."""
    rng, blocks = np.random.default_rng(1), np.repeat(np.arange(12), 6)
    found = [
        owners_test(*(np.repeat(rng.normal(size=12), 6) + rng.normal(0, 0.1, 72) for _ in range(2)), blocks, blocks,
                    rounds=199, seed=seed).p_value
        for seed in range(300)
    ]  # fmt: skip
    for level in (0.05, 0.1, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(
            level, abs=3 * np.sqrt(level * (1 - level) / 300)
        )


def test_use_is_found():
    rng, blocks = np.random.default_rng(1), np.repeat(np.arange(12), 6)
    used, unused = rng.normal(1, 1, 72), rng.normal(0, 1, 72)
    found = owners_test(used, unused, blocks, blocks)
    assert found.p_value < 0.001
    assert found.auc > 0.7
    assert owners_test(unused, used, blocks, blocks).p_value > 0.99


def test_single_images_are_a_rank_test():
    rng = np.random.default_rng(2)
    used, unused = rng.normal(0.4, 1, 40), rng.normal(0, 1, 30)
    found = owners_test(used, unused, range(40), range(30), rounds=20_000)
    assert found.p_value == pytest.approx(mannwhitneyu(used, unused, alternative="greater").pvalue, abs=0.01)


def test_nothing_to_test():
    with pytest.raises(InputError, match="there is no score"):
        owners_test(np.zeros(0), np.zeros(3), [], [0, 1, 2])
