"""Regions found again in frames whose motion is known exactly."""

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling.correspondence import correspondences

SHAPE = (40, 60)


def grid(cell, shift=0):
    rows, columns = np.indices(SHAPE)
    return ((rows // cell) * 100 + (columns - shift) // cell).astype(np.int32)


def numbered(regions):
    return np.unique(regions, return_inverse=True)[1].reshape(regions.shape).astype(np.int32)


def shifts(frames, step):
    """Flows of a video in which everything moves right by ``step`` pixels from frame to frame."""
    there = np.full((*SHAPE, 2), (step, 0), np.float32)
    return [(there, -there)] * (frames - 1)


@pytest.mark.parametrize("target", [0, 2, 4])
def test_a_moving_scene(target):
    """The same cells, five times as fine in other frames, move by two pixels a frame."""
    coarse = numbered(grid(20))
    regions = [numbered(grid(4, 2 * (frame - target))) for frame in range(5)]
    regions[target] = coarse
    maps = correspondences(regions, shifts(5, 2), target)
    assert maps.dtype == np.int32
    assert (maps[target] == coarse).all()
    for frame in range(5):
        shift = 2 * (frame - target)
        expected = np.roll(coarse, shift, 1)
        come_in = np.zeros(SHAPE, bool)
        if shift:
            come_in[:, slice(0, shift) if shift > 0 else slice(shift, None)] = True
        seen = ~come_in
        found = maps[frame][seen]
        assert ((found == expected[seen]) | (found == -1)).all()
        assert (found == expected[seen]).mean() > 0.9
        assert (maps[frame][:, : max(shift - 4, 0)] == -1).all()


@pytest.mark.parametrize(("share", "brought"), [(0.5, True), (0.9, False)])
def test_a_region_brings_along_what_flow_lost(share, brought):
    """A quarter of one cell has flow that does not hold both ways."""
    cells = numbered(grid(20))
    there, back = np.zeros((2, *SHAPE, 2), np.float32)
    back[:10, :10] = 9
    maps = correspondences([cells, cells], [(there, back)], 0, share)
    assert (maps[1][12:, 12:] == cells[12:, 12:]).all()
    assert (maps[1][2:8, 2:8] == (cells[0, 0] if brought else -1)).all()


def test_flow_that_does_not_hold_both_ways_brings_nothing():
    regions = [numbered(grid(10))] * 2
    there = np.full((*SHAPE, 2), 3, np.float32)
    assert (correspondences(regions, [(there, there)], 0)[1] == -1).all()


def test_pixels_without_a_region_stay_without():
    target = numbered(grid(10))
    target[:5] = -1
    other = numbered(grid(10))
    other[-5:] = -1
    maps = correspondences([target, other], shifts(2, 0), 0)
    assert (maps[0][:5] == -1).all()
    assert (maps[1][-5:] == -1).all()
    assert (maps[1][10:-10] == target[10:-10]).all()


def test_one_frame():
    regions = numbered(grid(10))
    assert (correspondences([regions], [], 0) == regions).all()


@pytest.mark.parametrize(
    ("frames", "flows", "target", "message"),
    [(3, 3, 0, "3 frames have 2 flows between them, 3 given"), (3, 2, 3, "target 3: there are 3 frames")],
)
def test_bad_calls(frames, flows, target, message):
    with pytest.raises(InputError, match=message):
        correspondences([numbered(grid(10))] * frames, shifts(flows + 1, 1), target)


def test_levels_are_found_as_if_each_were_alone():
    levels = np.stack([numbered(grid(20)), numbered(grid(10))])
    regions = [numbered(grid(4, 2 * (frame - 1))) for frame in range(3)]
    together = correspondences([regions[0], levels, regions[2]], shifts(3, 2), 1)
    assert together.shape == (3, 2, *SHAPE)
    for number, level in enumerate(levels):
        alone = correspondences([regions[0], level, regions[2]], shifts(3, 2), 1)
        assert (together[:, number] == alone).all()
