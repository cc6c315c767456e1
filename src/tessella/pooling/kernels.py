"""Sums over regions compiled for the processor by numba.

Label maps are nearly constant along rows: pixels are taken in runs of one region, so that most of the work is adding
up, or filling, pieces of memory that lie together. Each thread has planes, or parts of frames, of its own: results do
not depend on how many there are.
"""

from itertools import count
from typing import Any

import numpy as np
import torch
from numba import njit

from tessella.threads import in_threads

PARTS_OF_FRAME = 4
"""A frame in channels-last order is summed in so many parts, however many threads there are."""

# Sums may be taken in another order, so that they use the processor's vectors. NaN and infinity keep their meaning.
_compile: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def sum_planes(features: np.ndarray, regions: np.ndarray, sums: np.ndarray) -> None:
    """Add features [N, C, pixels] up over regions [N, pixels], into sums [N, C, P]. Ids below 0 are left out."""
    starts, ids, first = runs(regions)
    channels, pixels = features.shape[1:]
    flat, out = features.ravel(), sums.ravel()

    def work(part: int) -> None:
        _sum_planes(part, channels, pixels, sums.shape[2], flat, starts, ids, first, out)

    _share(work, features.shape[0] * channels)


def sum_pixels(features: np.ndarray, regions: np.ndarray, sums: np.ndarray) -> None:
    """As ``sum_planes``, for features [N, pixels, C] and sums [N, P, C]."""
    starts, ids, first = runs(regions)
    frames, _, channels = features.shape
    partial = np.zeros((frames * PARTS_OF_FRAME, *sums.shape[1:]), sums.dtype)
    flat, out = features.ravel(), partial.ravel()

    def work(part: int) -> None:
        _sum_pixels(
            part, PARTS_OF_FRAME, channels, features.shape[1], flat, starts, ids, first, out, sums.shape[1]
        )

    _share(work, len(partial))
    sums += partial.reshape(frames, PARTS_OF_FRAME, *sums.shape[1:]).sum(1)


def spread_planes(values: np.ndarray, regions: np.ndarray, features: np.ndarray) -> None:
    """Give every pixel its region's value [N, C, P], 0 where it has none; features [N, C, pixels] is overwritten."""
    starts, ids, first = runs(regions)
    channels, pixels = features.shape[1:]
    flat, out = values.ravel(), features.ravel()

    def work(part: int) -> None:
        _spread_planes(part, channels, pixels, values.shape[2], flat, starts, ids, first, out)

    _share(work, features.shape[0] * channels)


def max_planes(features: np.ndarray, regions: np.ndarray, largest: np.ndarray, where: np.ndarray) -> None:
    """The largest of features [N, C, pixels] in each region, and the first pixel where it is: [N, C, P].

    Of an empty region, ``largest`` and ``where`` stay as they are.
    """
    starts, ids, first = runs(regions)
    channels, pixels = features.shape[1:]
    flat, out, places = features.ravel(), largest.ravel(), where.ravel()

    def work(part: int) -> None:
        _max_planes(part, channels, pixels, largest.shape[2], flat, starts, ids, first, out, places)

    _share(work, features.shape[0] * channels)


def runs(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of one id in regions [N, pixels]: where each starts (and one past the last), its id, each frame's first."""
    changes = np.empty(regions.shape, bool)
    changes[:, 0] = True
    np.not_equal(regions[:, 1:], regions[:, :-1], out=changes[:, 1:])
    starts = np.flatnonzero(changes)
    ids = regions.ravel()[starts].astype(np.int64)
    first = np.searchsorted(starts, np.arange(len(regions) + 1) * regions.shape[1])
    return np.append(starts, regions.size), ids, first


def _share(work, parts: int) -> None:  # type: ignore[no-untyped-def]
    """Call ``work`` with every part, which threads take as they come."""
    taken = count()

    def take() -> None:
        while (part := next(taken)) < parts:
            work(part)

    in_threads(take, min(torch.get_num_threads(), parts))


# The loops below index flat arrays by unsigned numbers: a signed index is tested for counting from the end, which keeps
# a loop from the processor's vectors.
U = np.uint64


@_compile
def _sum_planes(  # type: ignore[no-untyped-def]
    plane, channels, pixels, num_regions, features, starts, ids, first, sums
):
    frame = plane // channels
    shift = plane * pixels - frame * pixels
    for run in range(first[frame], first[frame + 1]):
        if ids[run] >= 0:
            begin, end = U(shift + starts[run]), U(shift + starts[run + 1])
            total = features[begin]
            for k in range(begin + U(1), end):
                total += features[U(k)]
            sums[plane * num_regions + ids[run]] += total


@_compile
def _sum_pixels(  # type: ignore[no-untyped-def]
    part, parts_of_frame, channels, pixels, features, starts, ids, first, sums, num_regions
):
    frame, piece = part // parts_of_frame, part % parts_of_frame
    number = first[frame + 1] - first[frame]
    begin, end = (
        first[frame] + number * piece // parts_of_frame,
        first[frame] + number * (piece + 1) // parts_of_frame,
    )
    for run in range(begin, end):
        if ids[run] >= 0:
            to = U((part * num_regions + ids[run]) * channels)
            for pixel in range(starts[run], starts[run + 1]):
                at = U(pixel * channels)
                for c in range(channels):
                    sums[to + U(c)] += features[at + U(c)]


@_compile
def _spread_planes(  # type: ignore[no-untyped-def]
    plane, channels, pixels, num_regions, values, starts, ids, first, features
):
    frame = plane // channels
    shift = plane * pixels - frame * pixels
    for run in range(first[frame], first[frame + 1]):
        value = values[plane * num_regions + ids[run]] if ids[run] >= 0 else features.dtype.type(0)
        for k in range(U(shift + starts[run]), U(shift + starts[run + 1])):
            features[U(k)] = value


@_compile
def _max_planes(  # type: ignore[no-untyped-def]
    plane, channels, pixels, num_regions, features, starts, ids, first, largest, where
):
    frame = plane // channels
    shift = plane * pixels - frame * pixels
    for run in range(first[frame], first[frame + 1]):
        if ids[run] >= 0:
            to = plane * num_regions + ids[run]
            for pixel in range(starts[run], starts[run + 1]):
                value = features[U(shift + pixel)]
                # NaN is larger than everything, as in PyTorch.
                if value > largest[to] or where[to] < 0 or (value != value and largest[to] == largest[to]):
                    largest[to] = value
                    where[to] = pixel - frame * pixels
