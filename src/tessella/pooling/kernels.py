"""Sums over regions compiled for the processor by numba.

Label maps are nearly constant along rows: pixels are taken in runs of one region, so that most of the work is adding
up, or filling, pieces of memory that lie together. Each thread has planes, or parts of frames, of its own: results do
not depend on how many there are.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch
from numba import njit

from tessella.pooling.lanes import LANES, add_lanes, add_some_lanes, copy_lanes, fill_lanes
from tessella.threads import in_threads

PARTS = 4
"""Of a frame in channels-last order, which is summed in so many however many threads there are."""

PLANES = 4
"""Summed at once."""

# Sums may be taken in another order, so that they use the processor's vectors. NaN and infinity keep their meaning.
_compile: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def sum_planes(features: np.ndarray, regions: np.ndarray, sums: np.ndarray) -> None:
    """Add features [N, C, pixels] up over regions [N, pixels], into sums [N, C, P]. Ids below 0 are left out."""
    frames, channels, _ = features.shape
    groups = -(-channels // PLANES)
    _share(
        _sum_planes,
        frames * groups,
        features.shape,
        features.ravel(),
        *runs(regions),
        sums.shape[2],
        sums.ravel(),
    )


def sum_pixels(features: np.ndarray, regions: np.ndarray, sums: np.ndarray) -> None:
    """As ``sum_planes``, for features [N, pixels, C] and sums [N, P, C]."""
    frames, _, channels = features.shape
    room = -(-channels // LANES) * LANES
    partial = np.zeros((frames, PARTS, sums.shape[1], room), sums.dtype)
    _share(
        _sum_pixels,
        frames * PARTS,
        features.shape,
        features.ravel(),
        *runs(regions),
        partial.shape,
        partial.ravel(),
    )
    sums += partial.sum(1)[..., :channels]


def spread_planes(values: np.ndarray, regions: np.ndarray, features: np.ndarray) -> None:
    """Give every pixel its region's value of [N, C, P], or 0 where it has none, in features [N, C, pixels]."""
    frames, channels, _ = features.shape
    _share(
        _spread_planes,
        frames * channels,
        features.shape,
        features.ravel(),
        *runs(regions),
        values.shape[2],
        values.ravel(),
    )


def spread_pixels(values: np.ndarray, regions: np.ndarray, features: np.ndarray) -> None:
    """As ``spread_planes``, for features [N, pixels, C] and values [N, P + 1, C], the last being for no region."""
    _share(
        _spread_pixels,
        len(features) * PARTS,
        features.shape,
        features.ravel(),
        *runs(regions),
        values.shape[1],
        values.ravel(),
    )


def max_planes(features: np.ndarray, regions: np.ndarray, largest: np.ndarray, where: np.ndarray) -> None:
    """The largest of features [N, C, pixels] in each region, and the first pixel where it is: [N, C, P].

    Of an empty region, ``largest`` and ``where`` stay as they are.
    """
    frames, channels, _ = features.shape
    _share(
        _max_planes,
        frames * channels,
        features.shape,
        features.ravel(),
        *runs(regions),
        largest.shape[2],
        largest.ravel(),
        where.ravel(),
    )


def sizes(regions: np.ndarray, num_regions: int) -> np.ndarray:
    """Pixels [N, P] of each region in regions [N, pixels]."""
    starts, ids, first = runs(regions)
    frame = np.repeat(np.arange(len(regions)), np.diff(first))
    places = frame * (num_regions + 1) + np.where(ids >= 0, ids, num_regions)
    counts = np.bincount(places, np.diff(starts), len(regions) * (num_regions + 1))
    return counts.reshape(len(regions), -1)[:, :num_regions].astype(np.int64)


def runs(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of one id in regions [N, pixels]: where each starts (and one past the last), its id, each frame's first."""
    flat, pixels = regions.ravel(), regions.shape[1]
    number = np.zeros(len(regions), np.int64)
    _share(_count_runs, len(regions), flat, pixels, number)
    first = np.concatenate([[0], number.cumsum()])
    starts, ids = np.empty(first[-1] + 1, np.int64), np.empty(first[-1], np.int64)
    starts[-1] = regions.size
    _share(_list_runs, len(regions), flat, pixels, first, starts, ids)
    return starts, ids, first


def _share(kernel: Callable[..., None], parts: int, *arguments: Any) -> None:
    """Call the kernel with every part, which threads take as they come."""
    taken = count()

    def work() -> None:
        while (part := next(taken)) < parts:
            kernel(part, *arguments)

    in_threads(work, min(torch.get_num_threads(), parts))


U = np.uint64  # an unsigned index is not tested for counting from the end


@_compile
def _count_runs(frame, regions, pixels, number):  # type: ignore[no-untyped-def]
    total = 0
    for k in range(frame * pixels, (frame + 1) * pixels - 1):
        total += regions[U(k)] != regions[U(k + 1)]
    number[frame] = total + (pixels > 0)


@_compile
def _list_runs(frame, regions, pixels, first, starts, ids):  # type: ignore[no-untyped-def]
    run = first[frame]
    for k in range(frame * pixels, (frame + 1) * pixels):
        if k == frame * pixels or regions[U(k)] != regions[U(k - 1)]:
            starts[run], ids[run] = k, regions[U(k)]
            run += 1


@_compile
def _sum_planes(  # type: ignore[no-untyped-def]
    part, shape, features, starts, ids, first, num_regions, sums
):
    _, channels, pixels = shape
    groups = -(-channels // PLANES)
    frame, plane = part // groups, part % groups * PLANES
    planes = min(PLANES, channels - plane)
    # Several planes at once: an addition waits for the last one to the same place.
    lanes = np.zeros(planes * num_regions * LANES, features.dtype)
    base = (frame * channels + plane - frame) * pixels  # starts count from the first frame
    for run in range(first[frame], first[frame + 1]):
        region, begin, end = ids[run], base + starts[run], base + starts[run + 1]
        if region < 0:
            continue
        rest = (end - begin) % LANES
        for k in range(begin, end - rest, LANES):
            for q in range(planes):
                add_lanes(lanes, (q * num_regions + region) * LANES, features, k + q * pixels)
        if rest:
            for q in range(planes):
                to, at = (q * num_regions + region) * LANES, end - rest + q * pixels
                if at + LANES <= len(features):
                    add_some_lanes(lanes, to, features, at, rest)
                else:
                    for k in range(rest):
                        lanes[to + k] += features[at + k]
    for place in range(planes * num_regions):
        to = (frame * channels + plane) * num_regions + place
        for k in range(LANES):
            sums[to] += lanes[place * LANES + k]


@_compile
def _sum_pixels(  # type: ignore[no-untyped-def]
    part, shape, features, starts, ids, first, sums_shape, sums
):
    channels = shape[2]
    _, _, num_regions, room = sums_shape
    begin, end = _runs_of_part(part, first)
    rest = channels % LANES
    for run in range(begin, end):
        if ids[run] >= 0:
            to = (part * num_regions + ids[run]) * room
            for at in range(starts[run] * channels, starts[run + 1] * channels, channels):
                for c in range(0, channels - rest, LANES):
                    add_lanes(sums, to + c, features, at + c)
                if rest:
                    c = channels - rest
                    if at + c + LANES <= len(features):
                        add_some_lanes(sums, to + c, features, at + c, rest)
                    else:
                        for k in range(c, channels):
                            sums[to + k] += features[at + k]


@_compile
def _spread_planes(  # type: ignore[no-untyped-def]
    plane, shape, features, starts, ids, first, num_regions, values
):
    _, channels, pixels = shape
    frame = plane // channels
    base = (plane - frame) * pixels
    last = (plane + 1) * pixels - LANES
    for run in range(first[frame], first[frame + 1]):
        value = values.dtype.type(0)
        if ids[run] >= 0:
            value = values[plane * num_regions + ids[run]]
        begin, end = base + starts[run], base + starts[run + 1]
        # What is filled beyond the run's end is the next one's, and is filled again.
        for k in range(begin, min(end, last), LANES):
            fill_lanes(features, k, value)
        for k in range(max(begin, last), end):
            features[k] = value


@_compile
def _spread_pixels(  # type: ignore[no-untyped-def]
    part, shape, features, starts, ids, first, rows, values
):
    frame, channels = part // PARTS, shape[2]
    begin, end = _runs_of_part(part, first)
    for run in range(begin, end):
        row = (frame * rows + (ids[run] if ids[run] >= 0 else rows - 1)) * channels
        for to in range(starts[run] * channels, starts[run + 1] * channels, channels):
            if channels < LANES:
                for c in range(channels):
                    features[to + c] = values[row + c]
            else:
                for c in range(0, channels - LANES, LANES):
                    copy_lanes(features, to + c, values, row + c)
                copy_lanes(features, to + channels - LANES, values, row + channels - LANES)


@_compile
def _runs_of_part(part, first):  # type: ignore[no-untyped-def]
    frame, piece = part // PARTS, part % PARTS
    number = first[frame + 1] - first[frame]
    return first[frame] + number * piece // PARTS, first[frame] + number * (piece + 1) // PARTS


@_compile
def _max_planes(  # type: ignore[no-untyped-def]
    plane, shape, features, starts, ids, first, num_regions, largest, where
):
    _, channels, pixels = shape
    frame = plane // channels
    base = (plane - frame) * pixels
    for run in range(first[frame], first[frame + 1]):
        if ids[run] < 0:
            continue
        to = plane * num_regions + ids[run]
        if where[to] < 0:
            largest[to], where[to] = features[base + starts[run]], starts[run] - frame * pixels
        # Few runs have a new largest: to see that one has none takes no branches. NaN is larger than everything, as in
        # PyTorch.
        begin, end, best, above = base + starts[run], base + starts[run + 1], largest[to], False
        for k in range(begin, end):
            above |= not features[U(k)] <= best
        if not above or best != best:
            continue
        for k in range(begin, end):
            if not features[k] <= largest[to] and largest[to] == largest[to]:
                largest[to], where[to] = features[k], k - base - frame * pixels
