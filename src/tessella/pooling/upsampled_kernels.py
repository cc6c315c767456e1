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
    regions: np.ndarray,
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
    enough = max(1, len(regions) * channels // WORK)
    threads = min(torch.get_num_threads(), views, enough)
    parts = iter(pairwise(views * part // threads for part in range(threads + 1)))

    def work() -> None:
        pixels = (view * size for view in next(parts))
        _multiply(
            *pixels,
            bounds,
            regions,
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
    first, last, bounds, regions, weights, features, output, size, num_regions, channels, transposed
):
    # Pixel by pixel: the many pixels are read, or written, once and in order; the few regions stay in the cache.
    for pixel in range(first, last):
        here, base = pixel * channels, pixel // size * num_regions
        for k in range(bounds[pixel], bounds[pixel + 1]):
            there, weight = (base + regions[k]) * channels, (weights[k],)
            for c in range(0, channels, LANES):
                if transposed:
                    add_scaled_lanes(output, here + c, weight, features, (there + c,))
                else:
                    add_scaled_lanes(output, there + c, weight, features, (here + c,))
