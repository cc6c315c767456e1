"""Averages of a video along its motion."""

import itertools

import numpy as np
import pytest
import torch

from tessella.pooling.flow import Motion
from tessella.pooling.smooth import SteadyFrame, smooth, windows

SHAPE = (6, 9)


@pytest.mark.parametrize("reach", [0, 1, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_windows_of_every_item(reach, count):
    found = [(list(window), target) for window, target in windows(iter(range(count)), reach)]
    for item, (window, target) in enumerate(found):
        assert window[target] == item
        assert window == list(range(max(0, item - reach), min(count, item + reach + 1)))
    assert len(found) == count


def moving_right(frames):
    """Posteriors of a picture that moves one pixel to the right in each frame."""
    wide = torch.rand(4, SHAPE[0], SHAPE[1] + frames, generator=torch.Generator().manual_seed(0))
    flow = np.zeros((*SHAPE, 2), np.float32)
    flow[..., 0] = 1
    motion = Motion(flow, -flow)
    pictures = [wide[:, :, frames - t : frames - t + SHAPE[1]].contiguous() for t in range(frames)]
    return [SteadyFrame(picture, motion if t < frames - 1 else None) for t, picture in enumerate(pictures)]


def test_what_only_moves_stays_as_it_is():
    frames = moving_right(6)
    for before, after in zip(frames, smooth(frames, 2), strict=True):
        torch.testing.assert_close(after.posteriors, before.posteriors)
        assert after.motion is before.motion


def test_the_mean_along_the_motion():
    """Against pixels looked up one by one."""
    frames = moving_right(5)
    generator = torch.Generator().manual_seed(1)
    frames = [frame._replace(posteriors=torch.rand(4, *SHAPE, generator=generator)) for frame in frames]
    for target, frame in enumerate(smooth(frames, 2)):
        for row, column in itertools.product(*map(range, SHAPE)):
            seen = [
                frames[other].posteriors[:, row, column + other - target]
                for other in range(max(0, target - 2), min(5, target + 3))
                if 0 <= column + other - target < SHAPE[1]
            ]
            torch.testing.assert_close(frame.posteriors[:, row, column], torch.stack(seen).mean(0))


def test_what_is_new_counts_alone():
    """Where flow does not hold, no other frame has a say."""
    first, second = moving_right(2)
    nowhere = np.full((*SHAPE, 2), 50, np.float32)
    first = first._replace(motion=Motion(nowhere, nowhere))
    for before, after in zip((first, second), smooth([first, second], 2), strict=True):
        assert (after.posteriors == before.posteriors).all()
