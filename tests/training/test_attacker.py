"""The attack network learns a leak that is planted, and finds none where there is none."""

import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.membership_inference.learned import Attacker, score_images
from tessella.membership_inference.statistics import auc
from tessella.training.attacker import train_attacker


def answers(gain, images=120, seed=0):
    """Maps [images, 2, 12, 16] in one place of which members have a little less of something."""
    rng = np.random.default_rng(seed)
    member = rng.permutation(images) < images // 2
    maps = rng.normal(size=(images, 2, 12, 16)).astype(np.float16)
    maps[:, 0] -= gain * member[:, None, None]
    return maps, np.flatnonzero(member), np.flatnonzero(~member)


@pytest.mark.parametrize(("gain", "low", "high"), [(1.0, 0.9, 1.0), (0.0, 0.35, 0.65)])
def test_a_shadow_teaches_what_a_victim_gives_away(gain, low, high):
    shadows = [answers(gain, seed=seed) for seed in (1, 2)]
    torch.manual_seed(0)
    attacker = train_attacker(Attacker(2, width=8), *zip(*shadows, strict=True), crop=(12, 12), steps=60)
    maps, members, nonmembers = answers(gain, seed=3)
    scores, _ = score_images(attacker, torch.from_numpy(maps).float(), (12, 12))
    assert low <= auc(scores[members].numpy(), scores[nonmembers].numpy()) <= high


def test_the_same_seed_gives_the_same_network():
    maps, members, nonmembers = answers(0.5, images=20)
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        network = train_attacker(
            Attacker(2, width=8), [maps], [members], [nonmembers], crop=(8, 8), steps=3, batch_size=4
        )
        found.append(network.classifier.weight)
    assert torch.equal(*found)


def test_a_shadow_of_one_side():
    maps, members, nonmembers = answers(0.5, images=20)
    with pytest.raises(InputError, match="shadow 1: its images are all on one side"):
        train_attacker(Attacker(2, width=8), [maps, maps], [members, members], [nonmembers, []], crop=(8, 8))


def test_answers_that_are_no_numbers():
    maps, members, nonmembers = answers(0.5, images=20)
    maps[:] = np.nan
    with pytest.raises(InputError, match="learned attack: its loss is nan at step 0"):
        train_attacker(Attacker(2, width=8), [maps], [members], [nonmembers], crop=(8, 8))
