"""The operator on a GPU: columns sampled by Triton kernels, and cuBLAS's matrix product.

As on the processor, columns are sampled into a room of limited size, used, and sampled again in the backward pass. A
program of the adjoint owns the pixels that it adds to, so that there are no atomics and results repeat to the bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

ROOM_BYTES = 256 << 20
"""For the columns of one chunk: several images at once, so that launching kernels does not take longer than they do."""

BLOCK = 512


class Taps(NamedTuple):
    """Where the taps read: per axis, arrays [C, k] of the first pixel and of the next one's share."""

    base_h: Tensor
    far_h: Tensor
    base_w: Tensor
    far_w: Tensor


def forward(
    image: Tensor,
    weight: Tensor,
    offsets_h: Tensor,
    offsets_w: Tensor,
    stride: list[int],
    groups: int,
    output: Tensor,
) -> None:
    """Write the convolution into ``output`` [N, O, Ho, Wo]."""
    image, taps = image.contiguous(), _taps(offsets_h, offsets_w, image.dtype)
    matrix = _matrix(weight, groups)
    for n, count, first, columns in _chunks(image, weight, output.shape[2:]):
        _sample(image[n : n + count], taps, stride, first, columns)
        with _precision_of_convolutions():
            product = matrix @ _flat(columns, groups)
        output[n : n + count, :, first : first + columns.shape[4]] = product.view(
            count, -1, *columns.shape[4:]
        )


def backward(
    grad: Tensor,
    image: Tensor,
    weight: Tensor,
    offsets_h: Tensor,
    offsets_w: Tensor,
    stride: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of image, weight and offsets, in float32 at least."""
    image, taps = image.contiguous(), _taps(offsets_h, offsets_w, image.dtype)
    matrix = _matrix(weight, groups)
    exact = taps.far_h.dtype
    grad_image = torch.zeros(image.shape, dtype=exact, device=image.device)
    grad_matrix = torch.zeros(matrix.shape, dtype=exact, device=image.device)
    slopes = torch.zeros(*offsets_h.shape, offsets_w.shape[1], 2, dtype=exact, device=image.device)
    for n, count, first, columns in _chunks(image, weight, grad.shape[2:]):
        grad_rows = grad[n : n + count, :, first : first + columns.shape[4]]
        grad_rows = grad_rows.reshape(count, groups, -1, columns.shape[4] * columns.shape[5])
        taken = _flat(columns, groups)
        with _precision_of_convolutions():
            torch.matmul(matrix.mT, grad_rows, out=taken)
        _spread(columns, taps, stride, first, grad_image[n : n + count])
        slopes += _swap(image[n : n + count], taps, stride, first, columns)
        with _precision_of_convolutions():
            grad_matrix += (grad_rows @ taken.mT).sum(0, dtype=exact)
    return grad_image, grad_matrix.view(weight.shape), slopes[..., 0].sum(2), slopes[..., 1].sum(1)


@contextmanager
def _precision_of_convolutions() -> Iterator[None]:
    """Float32 products as exact as the user lets convolutions be: by default TF32 is for these alone."""
    product, convolution, name = torch.backends.cuda.matmul, torch.backends.cudnn, "allow_tf32"
    if hasattr(convolution, "conv"):  # PyTorch 2.9
        convolution, name = convolution.conv, "fp32_precision"
    before = getattr(product, name)
    setattr(product, name, getattr(convolution, name))
    try:
        yield
    finally:
        setattr(product, name, before)


def _taps(offsets_h: Tensor, offsets_w: Tensor, dtype: torch.dtype) -> Taps:
    parts = []
    for offsets in (offsets_h, offsets_w):
        base = offsets.floor()
        # Further out everything is zero; a wild offset must not leave the range of whole numbers.
        whole = base.clamp(-(2**28), 2**28).int()
        parts += [
            whole.contiguous(),
            (offsets - base).to(torch.promote_types(dtype, torch.float32)).contiguous(),
        ]
    return Taps(*parts)


def _matrix(weight: Tensor, groups: int) -> Tensor:
    return weight.reshape(groups, -1, weight[0].numel())


def _flat(columns: Tensor, groups: int) -> Tensor:
    """[N, C, kh, kw, rows, Wo] as [N, groups, taps of a group, pixels]."""
    return columns.view(columns.shape[0], groups, -1, columns.shape[4] * columns.shape[5])


def _chunks(image: Tensor, weight: Tensor, size: torch.Size) -> Iterator[tuple[int, int, int, Tensor]]:
    """(first image, images, first row of the output, room for their columns [N, C, kh, kw, rows, Wo]) in turn."""
    taps = (image.shape[1], *weight.shape[2:])
    per_row = taps[0] * taps[1] * taps[2] * size[1]
    fitting = max(1, ROOM_BYTES // (per_row * weight.element_size()))  # rows
    images, rows = max(1, min(image.shape[0], fitting // size[0])), min(size[0], fitting)
    room = torch.empty(images * rows * per_row, dtype=weight.dtype, device=image.device)
    for n in range(0, image.shape[0], images):
        count = min(images, image.shape[0] - n)
        for first in range(0, size[0], rows):
            height = min(rows, size[0] - first)
            yield n, count, first, room[: count * height * per_row].view(count, *taps, height, size[1])


def _sample(image: Tensor, taps: Taps, stride: list[int], first: int, columns: Tensor) -> None:
    """Write what the taps read for the output's rows from ``first`` on."""
    _launch_sampling(image, taps, stride, first, columns, None)


def _swap(image: Tensor, taps: Taps, stride: list[int], first: int, columns: Tensor) -> Tensor:
    """Put the columns in the place of their gradient; the offsets' derivatives [C, kh, kw, 2] are returned."""
    blocks = triton.cdiv(columns.shape[4] * columns.shape[5], BLOCK)
    parts = taps.far_h.new_empty(*columns.shape[:4], blocks, 2)
    _launch_sampling(image, taps, stride, first, columns, parts)
    return parts.sum((0, 4))


def _launch_sampling(
    image: Tensor, taps: Taps, stride: list[int], first: int, columns: Tensor, parts: Tensor | None
) -> None:
    batch, channels, kh, kw, rows, width = columns.shape
    _sample_kernel[(batch * channels * kh * kw, triton.cdiv(rows * width, BLOCK))](
        image,
        *taps,
        columns,
        parts,
        first,
        image.shape[2],
        image.shape[3],
        rows,
        width,
        channels,
        kh,
        kw,
        *stride,
        GRADIENT=parts is not None,
        BLOCK=BLOCK,
    )


def _spread(columns: Tensor, taps: Taps, stride: list[int], first: int, grad_image: Tensor) -> None:
    """Adjoint of ``_sample``: add the columns' gradient to that of the image."""
    batch, channels, kh, kw, rows, width = columns.shape
    height, image_width = grad_image.shape[2:]
    _spread_kernel[(batch * channels, triton.cdiv(height * image_width, BLOCK))](
        columns,
        *taps,
        grad_image,
        first,
        height,
        image_width,
        rows,
        width,
        channels,
        kh,
        kw,
        *stride,
        BLOCK=BLOCK,
    )


@triton.jit
def _read(plane, y, x, height, width, inside):  # type: ignore[no-untyped-def]
    inside = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return tl.load(plane + y * width + x, mask=inside, other=0.0)


@triton.jit
def _sample_kernel(  # type: ignore[no-untyped-def]
    image,
    base_h,
    far_h,
    base_w,
    far_w,
    columns,
    parts,
    first,
    height,
    width,
    rows,
    out_width,
    channels,
    kh,
    kw,
    stride_h,
    stride_w,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One tap of one channel over a block of output pixels."""
    tap = tl.program_id(0)
    j, i, plane = tap % kw, tap // kw % kh, tap // (kw * kh)
    c = plane % channels
    at_h, share_h = tl.load(base_h + c * kh + i), tl.load(far_h + c * kh + i)
    at_w, share_w = tl.load(base_w + c * kw + j), tl.load(far_w + c * kw + j)
    image += plane.to(tl.int64) * height * width
    columns += tap.to(tl.int64) * rows * out_width

    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < rows * out_width
    y = stride_h * (first + pixel // out_width) + at_h
    x = stride_w * (pixel % out_width) + at_w
    kind = far_h.dtype.element_ty
    here = _read(image, y, x, height, width, inside).to(kind)
    right = _read(image, y, x + 1, height, width, inside).to(kind)
    below = _read(image, y + 1, x, height, width, inside).to(kind)
    across = _read(image, y + 1, x + 1, height, width, inside).to(kind)
    upper = here * (1 - share_w) + right * share_w
    lower = below * (1 - share_w) + across * share_w
    if GRADIENT:
        grad = tl.load(columns + pixel, mask=inside, other=0.0).to(kind)
        # At an integer offset the derivative is the mean of both sides: from the pixel before to the next.
        step_h, step_w = tl.where(share_h == 0, 1, 0), tl.where(share_w == 0, 1, 0)
        before = _read(image, y - step_h, x, height, width, inside).to(kind) * (1 - share_w)
        before += _read(image, y - step_h, x + 1, height, width, inside).to(kind) * share_w
        slope_h = tl.sum(grad * (lower - before)) / (1 + step_h)
        before = _read(image, y, x - step_w, height, width, inside).to(kind) * (1 - share_h)
        before += _read(image, y + 1, x - step_w, height, width, inside).to(kind) * share_h
        slope_w = tl.sum(grad * (right * (1 - share_h) + across * share_h - before)) / (1 + step_w)
        part = parts + 2 * (tap.to(tl.int64) * tl.num_programs(1) + tl.program_id(1))
        tl.store(part, slope_h)
        tl.store(part + 1, slope_w)
    value = upper * (1 - share_h) + lower * share_h
    tl.store(columns + pixel, value.to(columns.dtype.element_ty), mask=inside)


@triton.jit
def _spread_kernel(  # type: ignore[no-untyped-def]
    columns,
    base_h,
    far_h,
    base_w,
    far_w,
    grad_image,
    first,
    height,
    width,
    rows,
    out_width,
    channels,
    kh,
    kw,
    stride_h,
    stride_w,
    BLOCK: tl.constexpr,
):
    """A block of pixels of one channel: what all outputs that read it give back."""
    plane = tl.program_id(0)
    c = plane % channels
    grad_image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * kh * kw * rows * out_width

    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    y, x = pixel // width, pixel % width
    kind = far_h.dtype.element_ty
    total = tl.zeros([BLOCK], kind)
    for i in range(kh):
        at_h, share_h = tl.load(base_h + c * kh + i), tl.load(far_h + c * kh + i)
        for j in range(kw):
            at_w, share_w = tl.load(base_w + c * kw + j), tl.load(far_w + c * kw + j)
            tap = columns + (i * kw + j) * rows * out_width
            for below in tl.static_range(2):
                weight_h = share_h if below else 1 - share_h
                m, meets = _output(y - at_h - below, stride_h, first, inside)
                for right in tl.static_range(2):
                    weight_w = share_w if right else 1 - share_w
                    n, meets_too = _output(x - at_w - right, stride_w, 0, meets)
                    total += weight_h * weight_w * _read(tap, m, n, rows, out_width, meets_too).to(kind)
    before = tl.load(grad_image + pixel, mask=inside, other=0.0)
    tl.store(grad_image + pixel, before + total.to(grad_image.dtype.element_ty), mask=inside)


@triton.jit
def _output(distance, stride, first, inside):  # type: ignore[no-untyped-def]
    """The output that lies ``distance`` pixels from the origin, counted from ``first``; and whether there is one."""
    # Division rounds towards zero, and remainders take the sign of what is divided: below zero there is no output.
    return distance // stride - first, inside & (distance >= 0) & (distance % stride == 0)
