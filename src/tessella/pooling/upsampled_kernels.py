"""Sparse matrix times dense rows, for few entries and many channels, compiled by numba."""

from typing import Any

import numpy as np
from numba import njit

# Sums may be taken in another order, so that they use the processor's vectors. NaN and infinity keep their meaning.
_compile: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
U = np.uint64  # an unsigned index is not tested for counting from the end


def multiply(
    bounds: np.ndarray, pixels: np.ndarray, weights: np.ndarray, features: np.ndarray, output: np.ndarray
) -> None:
    """Add the matrix times features [N, pixels, C] to output [N, P, C]."""
    _, size, channels = features.shape
    _multiply(bounds, pixels, weights, features.ravel(), output.ravel(), size, channels, output.shape[1])


def multiply_transposed(
    bounds: np.ndarray, pixels: np.ndarray, weights: np.ndarray, grad: np.ndarray, output: np.ndarray
) -> None:
    """Add the transposed matrix times grad [N, P, C] to output [N, pixels, C]."""
    _multiply_transposed(
        bounds, pixels, weights, grad.ravel(), output.ravel(), *output.shape[1:], grad.shape[1]
    )


@_compile
def _multiply(  # type: ignore[no-untyped-def]
    bounds, pixels, weights, features, output, size, channels, num_regions
):
    for row in range(len(bounds) - 1):
        view, to = row // num_regions, U(row * channels)
        for k in range(bounds[row], bounds[row + 1]):
            at, weight = U((view * size + pixels[k]) * channels), weights[k]
            for c in range(channels):
                output[to + U(c)] += weight * features[at + U(c)]


@_compile
def _multiply_transposed(  # type: ignore[no-untyped-def]
    bounds, pixels, weights, grad, output, size, channels, num_regions
):
    for row in range(len(bounds) - 1):
        view, at = row // num_regions, U(row * channels)
        for k in range(bounds[row], bounds[row + 1]):
            to, weight = U((view * size + pixels[k]) * channels), weights[k]
            for c in range(channels):
                output[to + U(c)] += weight * grad[at + U(c)]
