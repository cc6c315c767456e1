"""Regions found again in frames whose motion is known exactly."""

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling.correspondence import Origin, correspondences

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


def test_ids_that_float32_cannot_tell_apart():
    """Pixels of a picture of more than 2^24 have such ids."""
    labels = np.arange(2**24, 2**24 + 12, dtype=np.int32).reshape(3, 4)
    assert (Origin.of((3, 4)).read(labels) == labels).all()


def test_ids_below_minus_one_are_none():
    target, other = numbered(grid(10)), numbered(grid(10))
    expected = correspondences([np.maximum(target - 1, -1), np.maximum(other - 1, -1)], shifts(2, 1), 0)
    target[target == 0], other[other == 0] = -4, -(2**20)
    assert (correspondences([target - 1, other - 1], shifts(2, 1), 0) == expected).all()


@pytest.mark.parametrize(
    ("number", "regions", "message"),
    [
        (0, np.full(SHAPE, 2**33), "regions of frame 0 hold id 8589934592, of 2400 pixels"),
        (1, np.full(SHAPE, 2**33), "regions of frame 1 hold id 8589934592, of 2400 pixels"),
        (1, np.zeros(SHAPE), r"regions of frame 1 are float64 \[40, 60\]: give an array of whole numbers"),
        (1, None, "regions of frame 1 are None: give an array of whole numbers"),
        (1, np.zeros((40, 61), int), r"regions of frame 1 are \[40, 61\], the target's \[40, 60\]"),
        (1, np.zeros((2, *SHAPE), int), r"regions of frame 1 are \[2, 40, 60\], the target's \[40, 60\]"),
    ],
)
def test_bad_regions(number, regions, message):
    frames = [numbered(grid(10))] * 2
    frames[number] = regions
    with pytest.raises(InputError, match=message):
        correspondences(frames, shifts(2, 1), 0)


def test_flow_of_another_size():
    flow = np.zeros((40, 61, 2), np.float32)
    for pair in ((flow, flow), (np.zeros((*SHAPE, 2), np.float32), flow)):
        with pytest.raises(InputError, match=r"flow 0 is \[40, 61, 2\], the target \[40, 60\]"):
            correspondences([numbered(grid(10))] * 2, [pair], 0)


def test_more_pairs_than_memory_has_room_for():
    pixels = np.arange(120 * 120).reshape(120, 120)
    flow = np.zeros((120, 120, 2), np.float32)
    with pytest.raises(
        InputError, match="14400 regions of a frame and 14400 of the target are too many pairs"
    ):
        correspondences([pixels, pixels], [(flow, flow)], 0)


def test_levels_are_found_as_if_each_were_alone():
    levels = np.stack([numbered(grid(20)), numbered(grid(10))])
    regions = [numbered(grid(4, 2 * (frame - 1))) for frame in range(3)]
    together = correspondences([regions[0], levels, regions[2]], shifts(3, 2), 1)
    assert together.shape == (3, 2, *SHAPE)
    for number, level in enumerate(levels):
        alone = correspondences([regions[0], level, regions[2]], shifts(3, 2), 1)
        assert (together[:, number] == alone).all()
