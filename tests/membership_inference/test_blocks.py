"""Blocks of video and who is a member."""

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.membership_inference.blocks import DROPPED, Frame, blocks, coin_flips, frame_of


def video(name, times):
    return [Frame(name, float(time)) for time in times]


def test_blocks_are_cut_in_time_and_kept_apart():
    frames = video("a", range(0, 100, 3)) + video("b", range(7, 40, 2))
    found = blocks(frames, length=30, buffer=6)
    for one, (name, time) in zip(found, frames, strict=True):
        for other, (other_name, other_time) in zip(found, frames, strict=True):
            if DROPPED in (one, other):
                continue
            if one == other:
                assert name == other_name
                assert abs(time - other_time) < 30
            elif name == other_name:
                assert abs(time - other_time) >= 6
    kept = found[found != DROPPED]
    assert sorted(set(kept)) == list(range(6))  # four of a, two of b
    assert (found[: len(range(0, 100, 3))] == DROPPED).sum() == 3 * 2  # before each of three cuts
    assert found[-1] != DROPPED  # nothing follows it


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("0016E5_00390", ("0016E5_", 390)),
        ("a/12", ("a/", 12)),
        ("frame_12_left", ("frame_", 12)),
        ("a1/frame_12_right", ("a1/frame_", 12)),
        ("room7/left", ("room7/left", 0)),
        ("portrait", ("portrait", 0)),
    ],
)
def test_the_last_number_of_a_name(name, frame):
    assert frame_of(name) == frame


def test_order_of_images_does_not_matter():
    frames = video("a", range(50))
    shuffled = np.random.default_rng(0).permutation(50)
    found, again = blocks(frames, 10, 2), blocks([frames[i] for i in shuffled], 10, 2)
    assert (again == found[shuffled]).all()


@pytest.mark.parametrize("models", [1, 7, 8])
def test_every_block_is_in_half_of_the_models(models):
    of_image = np.repeat([0, 1, DROPPED, 2, 3, 4, 5], 3)
    found = coin_flips(of_image, models, seed=3)
    assert found.shape == (models, 21)
    assert not found[:, of_image == DROPPED].any()
    for block in range(6):
        inside = found[:, of_image == block]
        assert (inside == inside[:, :1]).all()
        assert models // 2 <= inside[:, 0].sum() <= -(-models // 2)
    assert (coin_flips(of_image, models, seed=3) == found).all()


def test_coins_are_fair_and_independent():
    found = np.concatenate([coin_flips(np.arange(40), 8, seed)[0][None] for seed in range(200)])
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(found.T)[np.triu_indices(40, 1)]).max() < 0.35


def test_what_leaves_nothing():
    with pytest.raises(InputError, match="of length 5 with a buffer of 5"):
        blocks(video("a", range(9)), 5, 5)
    with pytest.raises(InputError, match="models: 0"):
        coin_flips(np.arange(3), 0)
    assert coin_flips(np.full(4, DROPPED), 2).shape == (2, 4)
