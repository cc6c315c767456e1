"""Sampling compiled for the processor by numba, which brings its own compiler: columns of a matrix product, and back.

A column holds what every tap of the kernel reads for one output pixel. The offset of a tap is constant over a channel,
so a row of columns is two shifted reads and an interpolation per axis: no gather. Channels never meet, so threads need
no atomics, and the result does not depend on their number.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit

# Sums may be taken in another order, so that they use the processor's vectors. NaN and infinity keep their meaning.
_compile = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


class Taps(NamedTuple):
    """Where the taps of one axis read, as arrays [C, k]: ``near`` of pixel ``base``, ``far`` of the next."""

    base: np.ndarray
    near: np.ndarray
    far: np.ndarray


class Plan(NamedTuple):
    """How an image [C, H, W] is sampled: taps and strides per axis; the margins of a padded row."""

    vertical: Taps
    horizontal: Taps
    stride_h: int
    stride_w: int
    left: int
    width: int


def plan(
    image: np.ndarray,
    offsets_h: np.ndarray,
    offsets_w: np.ndarray,
    stride: tuple[int, int],
    out_width: int,
) -> Plan:
    """For images [C, H, W] like ``image``, offsets [C, kh] and [C, kw] in pixels, and rows of ``out_width`` samples."""
    vertical, horizontal = _taps(offsets_h, image.dtype), _taps(offsets_w, image.dtype)
    width = image.shape[-1]
    reach = stride[1] * (out_width - 1)
    # Further out everything is zero, so that a wild offset need not make the padded row long.
    base = np.clip(horizontal.base, -(reach + 3), width + 1)
    left = max(0, 1 - int(base.min()))
    padded = left + max(width, reach + int(base.max()) + 2)
    return Plan(vertical, horizontal._replace(base=base), *stride, left, padded)


def _taps(offsets: np.ndarray, dtype: np.dtype) -> Taps:
    base = np.floor(offsets)
    far = (offsets - base).astype(dtype)
    return Taps(base.astype(np.int64), 1 - far, far)


def fill_columns(image: np.ndarray, plan: Plan, first_row: int, columns: np.ndarray) -> None:
    """Write what the taps read for the output's rows from ``first_row`` on.

    image: [C, H, W]. columns: [C, kh, kw, rows, Wo], overwritten.
    """
    _over_channels(_fill_columns, image, plan, first_row, columns)


def scatter_columns(
    image: np.ndarray,
    plan: Plan,
    first_row: int,
    columns: np.ndarray,
    grad_image: np.ndarray,
    grad_offsets_h: np.ndarray,
    grad_offsets_w: np.ndarray,
) -> None:
    """Adjoint of ``fill_columns``: add what the gradient of the columns gives for image and offsets.

    columns: [C, kh, kw, rows, Wo], the gradient; overwritten with the columns themselves, which the gradient of the
    weights needs. grad_image: [C, H, W]. grad_offsets: [C, kh] and [C, kw], float64. All three are added to.
    """
    _over_channels(
        _scatter_columns, image, plan, first_row, columns, grad_image, grad_offsets_h, grad_offsets_w
    )


def _over_channels(kernel: Callable[..., None], image: np.ndarray, *arguments: Any) -> None:
    channels = image.shape[0]
    threads = min(torch.get_num_threads(), channels)
    bounds = [channels * i // threads for i in range(threads + 1)]
    others = [
        _helpers().submit(kernel, first, last, image, *arguments) for first, last in pairwise(bounds[1:])
    ]
    kernel(bounds[0], bounds[1], image, *arguments)
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "tessella-dilation")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


@_compile
def _fill_columns(  # type: ignore[no-untyped-def]
    first_channel, last_channel, image, plan, first_row, columns
):
    row = np.zeros(plan.width, image.dtype)
    for c in range(first_channel, last_channel):
        for m in range(columns.shape[3]):
            for i in range(columns.shape[1]):
                _read_row(image[c], plan, c, i, first_row + m, row)
                for j in range(columns.shape[2]):
                    _read_taps(row[plan.left + plan.horizontal.base[c, j] :], plan, c, j, columns[c, i, j, m])


@_compile
def _scatter_columns(  # type: ignore[no-untyped-def]
    first_channel, last_channel, image, plan, first_row, columns, grad_image, grad_offsets_h, grad_offsets_w
):
    row = np.zeros(plan.width, image.dtype)
    grad_row = np.zeros(plan.width, image.dtype)
    for c in range(first_channel, last_channel):
        for m in range(columns.shape[3]):
            for i in range(columns.shape[1]):
                _read_row(image[c], plan, c, i, first_row + m, row)
                grad_row[:] = 0
                for j in range(columns.shape[2]):
                    start = plan.left + plan.horizontal.base[c, j]
                    grad = columns[c, i, j, m]
                    grad_offsets_w[c, j] += _slope(row, start, plan.stride_w, plan.horizontal.far[c, j], grad)
                    _add_taps(grad_row[start:], plan, c, j, grad)
                    _read_taps(row[start:], plan, c, j, grad)
                grad_offsets_h[c, i] += _add_row(image[c], plan, c, i, first_row + m, grad_row, grad_image[c])


@_compile
def _read_row(image, plan, c, i, m, row):  # type: ignore[no-untyped-def]
    """Interpolate between two rows of the image, into the middle of a row padded with zeros."""
    height, width = image.shape
    r = plan.stride_h * m + plan.vertical.base[c, i]
    near, far = plan.vertical.near[c, i], plan.vertical.far[c, i]
    inner = row[plan.left : plan.left + width]
    has_near, has_far = 0 <= r < height, 0 <= r + 1 < height and far != 0
    if has_near and has_far:
        for n in range(width):
            inner[n] = near * image[r, n] + far * image[r + 1, n]
    elif has_near:
        for n in range(width):
            inner[n] = near * image[r, n]
    elif has_far:
        for n in range(width):
            inner[n] = far * image[r + 1, n]
    else:
        inner[:] = 0


@_compile
def _add_row(image, plan, c, i, m, grad_row, grad_image):  # type: ignore[no-untyped-def]
    """Adjoint of ``_read_row``; the derivative for the vertical offset is returned."""
    height, width = image.shape
    r = plan.stride_h * m + plan.vertical.base[c, i]
    near, far = plan.vertical.near[c, i], plan.vertical.far[c, i]
    grad = grad_row[plan.left : plan.left + width]
    below = above = grad[0] * 0
    if 0 <= r + 1 < height:
        for n in range(width):
            below += grad[n] * image[r + 1, n]
            grad_image[r + 1, n] += far * grad[n]
    # At an integer offset the derivative is the mean of both sides: the slope from the row before to the one after.
    before = r if far != 0 else r - 1
    if 0 <= before < height:
        for n in range(width):
            above += grad[n] * image[before, n]
    if 0 <= r < height:
        for n in range(width):
            grad_image[r, n] += near * grad[n]
    return below - above if far != 0 else (below - above) / 2


@_compile
def _read_taps(row, plan, c, j, samples):  # type: ignore[no-untyped-def]
    """Interpolate between neighbours in a row that begins where the first sample reads."""
    near, far, stride = plan.horizontal.near[c, j], plan.horizontal.far[c, j], plan.stride_w
    if far == 0:
        for n in range(samples.size):
            samples[n] = row[stride * n]
    elif stride == 1:
        for n in range(samples.size):
            samples[n] = near * row[n] + far * row[n + 1]
    else:
        for n in range(samples.size):
            samples[n] = near * row[stride * n] + far * row[stride * n + 1]


@_compile
def _add_taps(grad_row, plan, c, j, grad):  # type: ignore[no-untyped-def]
    """Adjoint of ``_read_taps``, in two passes that each are free of overlap."""
    near, far, stride = plan.horizontal.near[c, j], plan.horizontal.far[c, j], plan.stride_w
    if stride == 1:
        for n in range(grad.size):
            grad_row[n] += near * grad[n]
        for n in range(grad.size):
            grad_row[n + 1] += far * grad[n]
    else:
        for n in range(grad.size):
            grad_row[stride * n] += near * grad[n]
            grad_row[stride * n + 1] += far * grad[n]


@_compile
def _slope(row, start, stride, far, grad):  # type: ignore[no-untyped-def]
    """Derivative for the horizontal offset: slopes of the row, weighted; at an integer, from both sides."""
    total = grad[0] * 0
    after = row[start + 1 :]
    if far != 0:
        before = row[start:]
        for n in range(grad.size):
            total += grad[n] * (after[stride * n] - before[stride * n])
        return total
    before = row[start - 1 :]
    for n in range(grad.size):
        total += grad[n] * (after[stride * n] - before[stride * n])
    return total / 2
