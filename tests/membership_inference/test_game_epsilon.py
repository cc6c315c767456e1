"""Bounds of epsilon where the true one is known."""

import numpy as np
import pytest
from tests.membership_inference.test_game import play

from tessella.membership_inference.blocks import DROPPED, coin_flips
from tessella.membership_inference.game_epsilon import epsilon_of_game
from tessella.membership_inference.statistics import epsilon_lower_bound


def responses(epsilon, seed, models=8, blocks=100, length=8):
    """Randomised response (Warner 1965), which is epsilon-private exactly: a model says of each block whether it had
    it, and lies with probability 1 / (1 + exp(epsilon)); the same of all images of a block.
    """
    rng = np.random.default_rng(seed)
    block = np.arange(blocks).repeat(length)
    members = coin_flips(block, models, seed)
    lies = (rng.random((models, blocks)) < 1 / (1 + np.exp(epsilon))).repeat(length, 1)
    return (members ^ lies).astype(float), members, block


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_bound_holds_and_says_something(epsilon):
    found = [epsilon_of_game(*responses(epsilon, seed)).epsilon for seed in range(40)]
    assert sum(bound > epsilon for bound in found) <= 2
    assert np.median(found) >= 0.6 * epsilon


def test_a_block_counts_once_for_each_victim():
    """Else eight frames that answer as one would be eight proofs."""
    scores, members, block = responses(2.0, seed=0)
    found = epsilon_of_game(scores, members, block)
    assert found.trials == (400, 400)
    assert found.largest == 8
    assert found.of_an_image == pytest.approx(found.epsilon / 8)
    once = epsilon_of_game(scores[:, ::8], members[:, ::8], block[::8])
    assert once.epsilon == found.epsilon
    assert once.of_an_image == found.epsilon
    said = scores[:, ::8] > 0.5
    true, false = (int((said & which).sum()) for which in (members[:, ::8], ~members[:, ::8]))
    # Too few others resolve the smallest of three rates, so that with the best threshold three are tried.
    assert found.epsilon == epsilon_lower_bound(true, 400, false, 400, confidence=1 - 0.05 / 3)


def test_members_as_numbers():
    scores, members, block = responses(2.0, seed=0)
    assert epsilon_of_game(scores, members.astype(int), block) == epsilon_of_game(scores, members, block)


def test_without_a_leak_nothing_is_shown():
    for effect in (0.0, 1.5):
        found = [epsilon_of_game(*play(seed=seed, effect=effect)).epsilon for seed in range(40)]
        assert sum(bound > 0 for bound in found) <= 2


def test_what_does_not_count():
    scores, members, block = play(gain=1.0)
    before = epsilon_of_game(scores, members, block)
    changed = np.where(block == DROPPED, 1e9, scores)
    assert epsilon_of_game(changed, members, block) == before
    scores[0, block == 1] = np.nan  # no score for that block of that victim
    assert sum(epsilon_of_game(scores, members, block).trials) == sum(before.trials) - 1
