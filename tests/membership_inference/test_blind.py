"""The baseline that never sees a model."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from tessella.datasets.files import read_image
from tessella.errors import InputError
from tessella.membership_inference.blind import blind_baseline, blind_scores, features, is_given_away
from tessella.membership_inference.blocks import DROPPED, Frame, blocks, coin_flips


def videos(number, frames, rng):
    """Pictures of random colours that hardly change within a video."""
    return [
        np.clip(base + rng.normal(0, 8, (frames, 24, 32, 3)), 0, 255).astype(np.uint8)
        for base in rng.uniform(40, 200, (number, 1, 1, 1, 3)) + rng.normal(0, 30, (number, 1, 24, 32, 1))
    ]


def test_two_cameras_are_told_apart():
    rng = np.random.default_rng(0)
    pictures = np.concatenate(videos(20, 5, rng))
    pictures[50:, 18:] = 20  # the bonnet of another car
    found = blind_baseline(
        np.stack([features(p) for p in pictures]), np.arange(100) < 50, np.repeat(np.arange(20), 5)
    )
    assert found.value > 0.8
    assert is_given_away(found)


def test_chance_is_not_told_apart():
    """Twenty draws: at most one interval may lie wholly above what is let through."""
    rng = np.random.default_rng(1)
    described = np.stack([features(p) for p in np.concatenate(videos(24, 4, rng))])
    of_image = np.repeat(np.arange(24), 4)
    found = [
        blind_baseline(described, coin_flips(of_image, 2, seed)[0], of_image, seed) for seed in range(20)
    ]
    assert sum(map(is_given_away, found)) <= 1
    assert np.mean([estimate.value for estimate in found]) < 0.55


def test_frames_of_one_block_do_not_answer_for_one_another():
    rng = np.random.default_rng(2)
    described = np.stack([features(p) for p in np.concatenate(videos(24, 4, rng))])
    members = coin_flips(np.repeat(np.arange(24), 4), 2)[0]
    by_frame = blind_scores(described, members, np.arange(96))
    assert by_frame[members].mean() > by_frame[~members].mean() + 0.3  # which would be taken for a leak


def test_members_as_numbers():
    rng = np.random.default_rng(0)
    described, members, of_image = (
        rng.normal(size=(40, 3)),
        np.arange(40) % 8 < 4,
        np.repeat(np.arange(10), 4),
    )
    described[members] += 1
    expected = blind_baseline(described, members, of_image)
    assert blind_baseline(described, members.astype(int), of_image) == expected


def test_too_few_blocks():
    described = np.zeros((4, 3))
    with pytest.raises(InputError, match="1 block of images"):
        blind_scores(described, np.array([True, False, True, False]), [0] * 4)
    with pytest.raises(InputError, match="only one side is left"):
        blind_scores(described, np.array([True, True, False, False]), [0, 0, 1, 1])


@pytest.mark.realdata
@pytest.mark.skipif("TESSELLA_DATA" not in os.environ, reason="TESSELLA_DATA is not set")
def test_camvid():
    """Its official split gives members away; blocks by coin flip do not."""
    folder = Path(os.environ["TESSELLA_DATA"]) / "camvid"
    found = {
        split: [(path, features(read_image(path))) for path in sorted((folder / split).glob("*.jpg"))[::2]]
        for split in ("train", "test")
    }
    files, described = zip(*found["train"], *found["test"], strict=True)
    official = np.arange(len(files)) < len(found["train"])
    frames = []
    for file in files:
        name, time = re.fullmatch(r"(.*?)_?f?(\d+)", file.stem).groups()
        frames.append(Frame(name, float(time)))
    of_image = blocks(frames, length=300, buffer=60)
    assert is_given_away(blind_baseline(np.stack(described), official, of_image))
    kept = np.flatnonzero(of_image != DROPPED)
    draws = [
        blind_baseline(
            np.stack(described)[kept], coin_flips(of_image, 2, seed)[0][kept], of_image[kept].tolist()
        )
        for seed in range(5)
    ]
    assert not any(map(is_given_away, draws))
