"""Sparse matrix times dense rows, for few entries and many channels, compiled by numba."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit

from tessella.pooling.lanes import LANES, add_scaled_lanes
from tessella.threads import in_threads

_compile: Any = njit(nogil=True, cache=True, error_model="numpy")

WORK = 2**20
"""Products that are worth a thread."""


def multiply(
    bounds: np.ndarray,
    pixels: np.ndarray,
    weights: np.ndarray,
    features: np.ndarray,
    output: np.ndarray,
    transposed: bool,
) -> None:
    """Add the matrix times features [N, pixels, C] to output [N, P, C]; transposed, times [N, P, C] to [N, pixels, C].

    C is a multiple of LANES. Threads have views of their own.
    """
    views, _, channels = features.shape
    of_regions, of_pixels = (features, output) if transposed else (output, features)
    num_regions, size = of_regions.shape[1], of_pixels.shape[1]
    enough = max(1, len(pixels) * channels // WORK)
    threads = min(torch.get_num_threads(), views, enough)
    parts = iter(pairwise(views * part // threads for part in range(threads + 1)))

    def work() -> None:
        rows = (bound * num_regions for bound in next(parts))
        _multiply(
            *rows,
            bounds,
            pixels,
            weights.astype(features.dtype, copy=False),
            features.ravel(),
            output.ravel(),
            size,
            num_regions,
            channels,
            transposed,
        )

    in_threads(work, threads)


@_compile
def _multiply(  # type: ignore[no-untyped-def]
    first_row, last_row, bounds, pixels, weights, features, output, size, num_regions, channels, transposed
):
    for row in range(first_row, last_row):
        region, base = row * channels, row // num_regions * size
        start, end = bounds[row], bounds[row + 1]
        rest = start if transposed else end - (end - start) % 4
        for k in range(start, rest, 4):
            some = (weights[k], weights[k + 1], weights[k + 2], weights[k + 3])
            first, second = (base + pixels[k]) * channels, (base + pixels[k + 1]) * channels
            third, fourth = (base + pixels[k + 2]) * channels, (base + pixels[k + 3]) * channels
            for c in range(0, channels, LANES):
                add_scaled_lanes(
                    output, region + c, some, features, (first + c, second + c, third + c, fourth + c)
                )
        for k in range(rest, end):
            small, weight = (base + pixels[k]) * channels, (weights[k],)
            for c in range(0, channels, LANES):
                if transposed:
                    add_scaled_lanes(output, small + c, weight, features, (region + c,))
                else:
                    add_scaled_lanes(output, region + c, weight, features, (small + c,))
