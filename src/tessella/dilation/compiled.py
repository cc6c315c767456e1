"""Sampling compiled for the processor by numba, which brings its own compiler: columns of a matrix product, and back.

A column holds what every tap of the kernel reads for one output pixel. The offset of a tap is constant over a channel,
so a row of columns is two shifted reads and an interpolation per axis: no gather. Channels never meet, so threads need
no atomics, and the result does not depend on their number.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Sums may be taken in another order, so that they use the processor's vectors. NaN and infinity keep their meaning.
_compile = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


class Taps(NamedTuple):
    """Where the taps of one axis read, as arrays [C, k]: ``near`` of pixel ``base``, ``far`` of the next."""

    base: np.ndarray
    near: np.ndarray
    far: np.ndarray


class Plan(NamedTuple):
    """How an image [C, H, W] is sampled: taps and strides per axis, the output's width; the margins of a padded row."""

    vertical: Taps
    horizontal: Taps
    stride_h: int
    stride_w: int
    out_width: int
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
    return Plan(vertical, horizontal._replace(base=base), *stride, out_width, left, padded)


def _taps(offsets: np.ndarray, dtype: np.dtype) -> Taps:
    base = np.floor(offsets)
    far = (offsets - base).astype(dtype)
    with np.errstate(invalid="ignore"):  # a factor that is NaN reads anywhere, and makes NaN of it
        return Taps(base.astype(np.int64), 1 - far, far)


def fill_columns(image: np.ndarray, plan: Plan, first_row: int, rows: int, columns: np.ndarray) -> None:
    """Write what the taps read for ``rows`` rows of the output from ``first_row`` on.

    image: [C, H, W]. columns: [C, kh, kw, rows * Wo or more], overwritten.
    """
    _fill_columns(image.ravel(), image.shape, plan, first_row, rows, columns.shape, columns.ravel())


def scatter_columns(
    image: np.ndarray,
    plan: Plan,
    first_channel: int,
    first_row: int,
    rows: int,
    columns: np.ndarray,
    grad_image: np.ndarray,
    grad_offsets_h: np.ndarray,
    grad_offsets_w: np.ndarray,
) -> None:
    """Adjoint of ``fill_columns``: add what the gradient of some channels' columns gives for image and offsets.

    columns: [channels, kh, kw, rows * Wo or more], the gradient, of channels from ``first_channel`` on; overwritten
    with the columns themselves, which the gradient of the weights needs. grad_image: [C, H, W]. grad_offsets: [C, kh]
    and [C, kw], float64. All three are added to, for these channels alone.
    """
    _scatter_columns(
        image.ravel(),
        image.shape,
        plan,
        first_channel,
        first_row,
        rows,
        columns.shape,
        columns.ravel(),
        grad_image.ravel(),
        grad_offsets_h,
        grad_offsets_w,
    )


# The loops below index flat arrays by unsigned numbers. A view for every row would cost more than the row, and a signed
# index is tested for counting from the end, which keeps a loop from the processor's vectors.
U = np.uint64
ONE = U(1)


@_compile
def _fill_columns(image, size, plan, first_row, rows, shape, columns):  # type: ignore[no-untyped-def]
    channels, kh, kw, room = shape
    _, height, width = size
    (base_h, near_h, far_h), (base_w, near_w, far_w), stride_h, stride_w, out_width, left, padded = plan
    row = np.zeros(padded, image.dtype)
    for c in range(channels):
        for i in range(kh):
            for m in range(rows):
                r = stride_h * (first_row + m) + base_h[c, i]
                _read_row(image, c * height, height, width, r, near_h[c, i], far_h[c, i], row, left)
                for j in range(kw):
                    to = ((c * kh + i) * kw + j) * room + m * out_width
                    start = left + base_w[c, j]
                    _read_taps(row, start, near_w[c, j], far_w[c, j], stride_w, columns, to, out_width)


@_compile
def _scatter_columns(  # type: ignore[no-untyped-def]
    image,
    size,
    plan,
    first_channel,
    first_row,
    rows,
    shape,
    columns,
    grad_image,
    grad_offsets_h,
    grad_offsets_w,
):
    channels, kh, kw, room = shape
    _, height, width = size
    (base_h, near_h, far_h), (base_w, near_w, far_w), stride_h, stride_w, out_width, left, padded = plan
    row = np.zeros(padded, image.dtype)
    grad_row = np.zeros(padded, image.dtype)
    for c in range(first_channel, first_channel + channels):
        for i in range(kh):
            for m in range(rows):
                r = stride_h * (first_row + m) + base_h[c, i]
                near, far = near_h[c, i], far_h[c, i]
                _read_row(image, c * height, height, width, r, near, far, row, left)
                grad_row[:] = 0
                for j in range(kw):
                    to = (((c - first_channel) * kh + i) * kw + j) * room + m * out_width
                    start = left + base_w[c, j]
                    grad_offsets_w[c, j] += _swap_taps(
                        row, grad_row, start, near_w[c, j], far_w[c, j], stride_w, columns, to, out_width
                    )
                grad_offsets_h[c, i] += _add_row(
                    image, c * height, height, width, r, near, far, grad_row, left, grad_image
                )


@_compile
def _read_row(image, top, height, width, r, near, far, row, left):  # type: ignore[no-untyped-def]
    """Interpolate between row r of a channel and the next, into the middle of a row padded with zeros.

    top: the channel's first row among those of all channels.
    """
    at, this, after = U(left), U((top + r) * width), U((top + r + 1) * width)
    has_near, has_far = 0 <= r < height, 0 <= r + 1 < height and far != 0
    if has_near and has_far:
        for k in range(width):
            n = U(k)
            row[at + n] = near * image[this + n] + far * image[after + n]
    elif has_near or has_far:
        share, this = (near, this) if has_near else (far, after)
        for k in range(width):
            n = U(k)
            row[at + n] = share * image[this + n]
    else:
        for k in range(width):
            row[at + U(k)] = 0


@_compile
def _add_row(  # type: ignore[no-untyped-def]
    image, top, height, width, r, near, far, grad_row, left, grad_image
):
    """Adjoint of ``_read_row``; the derivative for the vertical offset is returned."""
    at, this, after = U(left), U((top + r) * width), U((top + r + 1) * width)
    slope = 0.0
    if 0 <= r < height:
        for k in range(width):
            n = U(k)
            grad_image[this + n] += near * grad_row[at + n]
    if 0 <= r + 1 < height:
        for k in range(width):
            n = U(k)
            grad_image[after + n] += far * grad_row[at + n]
        slope += _dot(grad_row, at, image, after, width)
    # At an integer offset the derivative is the mean of both sides: from the row before to the next.
    low = r if far != 0 else r - 1
    if 0 <= low < height:
        slope -= _dot(grad_row, at, image, U((top + low) * width), width)
    return slope if far != 0 else slope / 2


@_compile
def _dot(a, first_a, b, first_b, count):  # type: ignore[no-untyped-def]
    total = a[first_a] * b[first_b]
    for k in range(1, count):
        n = U(k)
        total += a[first_a + n] * b[first_b + n]
    return total


@_compile
def _read_taps(row, start, near, far, stride, columns, to, count):  # type: ignore[no-untyped-def]
    """Interpolate between neighbours in a padded row from ``start`` on."""
    start, stride, to = U(start), U(stride), U(to)
    if stride == 1:
        for k in range(count):
            n = U(k)
            columns[to + n] = near * row[start + n] + far * row[start + n + ONE]
    else:
        for k in range(count):
            n = U(k)
            at = start + stride * n
            columns[to + n] = near * row[at] + far * row[at + ONE]


@_compile
def _swap_taps(  # type: ignore[no-untyped-def]
    row, grad_row, start, near, far, stride, columns, to, count
):
    """Adjoint of ``_read_taps``: the columns' gradient is added to ``grad_row`` and replaced by the columns.

    The derivative for the horizontal offset is returned.
    """
    # At an integer offset it is the mean of both sides: from the pixel before to the next.
    before = U(start if far != 0 else start - 1)
    start, stride, to = U(start), U(stride), U(to)
    slope = near - near  # zero of the same type
    if stride == 1:
        for k in range(count):
            n = U(k)
            grad_row[start + n + ONE] += far * columns[to + n]
        for k in range(count):
            n = U(k)
            grad = columns[to + n]
            grad_row[start + n] += near * grad
            slope += grad * (row[start + n + ONE] - row[before + n])
            columns[to + n] = near * row[start + n] + far * row[start + n + ONE]
    else:
        for k in range(count):
            n = U(k)
            grad, at = columns[to + n], start + stride * n
            grad_row[at] += near * grad
            grad_row[at + ONE] += far * grad
            slope += grad * (row[at + ONE] - row[before + stride * n])
            columns[to + n] = near * row[at] + far * row[at + ONE]
    return slope if far != 0 else slope / 2
