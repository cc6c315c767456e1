"""Sparse matrix times dense rows, for few entries and many channels, compiled by numba."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit

from tessella.pooling.lanes import LANES, add_scaled_lanes
from tessella.threads import in_threads

_compile: Any = njit(nogil=True, cache=True, error_model="numpy")


def multiply(
    bounds: np.ndarray, pixels: np.ndarray, weights: np.ndarray, features: np.ndarray, output: np.ndarray
) -> None:
    """Add the matrix times features [N, pixels, C] to output [N, P, C]; C is a multiple of LANES."""
    _share_views(_multiply, bounds, pixels, weights, features, output)


def multiply_transposed(
    bounds: np.ndarray, pixels: np.ndarray, weights: np.ndarray, grad: np.ndarray, output: np.ndarray
) -> None:
    """Add the transposed matrix times grad [N, P, C] to output [N, pixels, C]; C is a multiple of LANES."""
    _share_views(_multiply_transposed, bounds, pixels, weights, grad, output)


def _share_views(
    kernel: Callable[..., None],
    bounds: np.ndarray,
    pixels: np.ndarray,
    weights: np.ndarray,
    features: np.ndarray,
    output: np.ndarray,
) -> None:
    """Call the kernel for parts of the views."""
    threads = max(1, min(torch.get_num_threads(), len(features)))
    parts = iter(pairwise(len(features) * part // threads for part in range(threads + 1)))

    def work() -> None:
        first, last = next(parts)
        kernel(
            first,
            last,
            bounds,
            pixels,
            weights,
            features.shape,
            features.ravel(),
            output.shape,
            output.ravel(),
        )

    in_threads(work, threads)


@_compile
def _multiply(  # type: ignore[no-untyped-def]
    first, last, bounds, pixels, weights, shape, features, output_shape, output
):
    _, size, channels = shape
    num_regions = output_shape[1]
    for view in range(first, last):
        for row in range(view * num_regions, (view + 1) * num_regions):
            for k in range(bounds[row], bounds[row + 1]):
                at = (view * size + pixels[k]) * channels
                weight = features.dtype.type(weights[k])
                for c in range(0, channels, LANES):
                    add_scaled_lanes(output, row * channels + c, weight, features, at + c)


@_compile
def _multiply_transposed(  # type: ignore[no-untyped-def]
    first, last, bounds, pixels, weights, shape, grad, output_shape, output
):
    _, num_regions, channels = shape
    size = output_shape[1]
    for view in range(first, last):
        for row in range(view * num_regions, (view + 1) * num_regions):
            for k in range(bounds[row], bounds[row + 1]):
                to = (view * size + pixels[k]) * channels
                weight = grad.dtype.type(weights[k])
                for c in range(0, channels, LANES):
                    add_scaled_lanes(output, to + c, weight, grad, row * channels + c)
