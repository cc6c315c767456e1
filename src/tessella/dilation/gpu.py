"""The operator on a GPU: columns sampled by Triton kernels, and cuBLAS's matrix product.

As on the processor, columns are sampled into a room of limited size, used, and sampled again in the backward pass. A
program of the adjoint owns the pixels that it adds to, so that there are no atomics and results repeat to the bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import triton
import triton.language as tl
from torch import Tensor

ROOM_BYTES = 256 << 20
"""For the columns of one chunk: several images at once, so that launching kernels does not take longer than they do."""

BLOCK = 512
"""Pixels of one program."""


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
    image, *offsets = _ready(image, offsets_h, offsets_w)
    matrix = _matrix(weight, groups)
    for n, count, first, columns in _chunks(image, weight, output.shape[2:]):
        _sample(image[n : n + count], offsets, stride, first, columns)
        out = _rows(output[n : n + count], first, columns.shape[4], groups)
        _multiply(matrix, _flat(columns, groups), out)


def backward(
    grad: Tensor,
    image: Tensor,
    weight: Tensor,
    offsets_h: Tensor,
    offsets_w: Tensor,
    stride: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of image, weight and offsets; where several chunks add up, in float32 at least."""
    image, *offsets = _ready(image, offsets_h, offsets_w)
    exact = offsets[0].dtype
    matrix = _matrix(weight, groups)
    grad_image, grad_matrix = torch.empty_like(image, dtype=exact), torch.zeros_like(matrix, dtype=exact)
    grad_h, grad_w = (torch.zeros_like(axis) for axis in offsets)
    for n, count, first, columns in _chunks(image, weight, grad.shape[2:]):
        grad_rows = _rows(grad[n : n + count], first, columns.shape[4], groups)
        taken = _flat(columns, groups)
        _multiply(matrix.mT, grad_rows, taken)
        _spread(columns, offsets, stride, first, grad_image[n : n + count])
        slopes_h, slopes_w = _swap(image[n : n + count], offsets, stride, first, columns)
        grad_h += slopes_h
        grad_w += slopes_w
        with _precision_of_convolutions():
            grad_matrix += (grad_rows @ taken.mT).sum(0, dtype=exact)
    return grad_image, grad_matrix.view(weight.shape), grad_h, grad_w


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


def _multiply(matrix: Tensor, taken: Tensor, out: Tensor) -> None:
    """Write matrix [groups, A, B] @ taken [N, groups, B, pixels] into ``out`` where it lies."""
    with _precision_of_convolutions():
        if matrix.shape[0] == 1:
            torch.bmm(matrix.expand(len(taken), -1, -1), taken[:, 0], out=out[:, 0])
        else:
            out.copy_(matrix @ taken)


def _ready(image: Tensor, offsets_h: Tensor, offsets_w: Tensor) -> list[Tensor]:
    """As the kernels read them: without gaps, offsets in float32 at least."""
    exact = torch.promote_types(image.dtype, torch.float32)
    return [image.contiguous(), *(axis.to(exact).contiguous() for axis in (offsets_h, offsets_w))]


def _matrix(weight: Tensor, groups: int) -> Tensor:
    return weight.reshape(groups, -1, weight[0].numel())


def _rows(features: Tensor, first: int, count: int, groups: int) -> Tensor:
    """``count`` rows of features [N, C, Ho, Wo] as [N, groups, channels of a group, pixels]."""
    return features[:, :, first : first + count].flatten(2).unflatten(1, (groups, -1))


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


def _sample(image: Tensor, offsets: list[Tensor], stride: list[int], first: int, columns: Tensor) -> None:
    """Write what the taps read for the output's rows from ``first`` on."""
    _launch_sampling(image, offsets, stride, first, columns, None, None)


def _swap(
    image: Tensor, offsets: list[Tensor], stride: list[int], first: int, columns: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the columns in the place of their gradient; the offsets' derivatives [C, kh], [C, kw] are returned."""
    batch, channels, kh, kw, rows, width = columns.shape
    blocks = triton.cdiv(rows * width, BLOCK)
    parts_h = offsets[0].new_empty(batch, channels, kh, blocks)
    parts_w = offsets[0].new_empty(batch, channels, kh, kw, blocks)
    _launch_sampling(image, offsets, stride, first, columns, parts_h, parts_w)
    return parts_h.sum((0, 3)), parts_w.sum((0, 2, 4))


def _launch_sampling(
    image: Tensor,
    offsets: list[Tensor],
    stride: list[int],
    first: int,
    columns: Tensor,
    parts_h: Tensor | None,
    parts_w: Tensor | None,
) -> None:
    batch, channels, kh, kw, rows, width = columns.shape
    _sample_kernel[(batch * channels, triton.cdiv(rows * width, BLOCK))](
        image,
        *offsets,
        columns,
        parts_h,
        parts_w,
        first,
        image.shape[2],
        image.shape[3],
        rows,
        width,
        channels,
        *stride,
        KH=kh,
        KW=kw,
        GRADIENT=parts_h is not None,
        BLOCK=BLOCK,
    )


def _spread(
    columns: Tensor, offsets: list[Tensor], stride: list[int], first: int, grad_image: Tensor
) -> None:
    """Adjoint of ``_sample``: the columns' gradient as that of the image, added up over chunks of rows."""
    batch, channels, kh, kw, rows, width = columns.shape
    height, image_width = grad_image.shape[2:]
    _spread_kernel[(batch * channels, triton.cdiv(height * image_width, BLOCK))](
        columns,
        *offsets,
        grad_image,
        first,
        height,
        image_width,
        rows,
        width,
        channels,
        *stride,
        KH=kh,
        KW=kw,
        ADD=first > 0,
        BLOCK=BLOCK,
    )


@triton.jit
def _tap(offset):  # type: ignore[no-untyped-def]
    """The first pixel that a tap reads, and the next one's share."""
    offset = tl.load(offset)
    base = tl.floor(offset)
    # Further out everything is zero; a wild offset must not leave the range of whole numbers.
    return tl.clamp(base, -(2.0**28), 2.0**28).to(tl.int32), offset - base


@triton.jit
def _read(plane, y, x, height, width, inside):  # type: ignore[no-untyped-def]
    inside = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return tl.load(plane + y * width + x, mask=inside, other=0.0)


@triton.jit
def _sample_kernel(  # type: ignore[no-untyped-def]
    image,
    offsets_h,
    offsets_w,
    columns,
    parts_h,
    parts_w,
    first,
    height,
    width,
    rows,
    out_width,
    channels,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """All taps of one channel over a block of output pixels."""
    plane = tl.program_id(0)
    c = plane % channels
    image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * rows * out_width
    block, blocks = tl.program_id(1), tl.num_programs(1)

    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < rows * out_width
    top, left = stride_h * (first + pixel // out_width), stride_w * (pixel % out_width)
    kind = offsets_h.dtype.element_ty
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        y = top + at_h
        slope_h = tl.zeros([BLOCK], kind)
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            x = left + at_w
            here = _read(image, y, x, height, width, inside).to(kind)
            right = _read(image, y, x + 1, height, width, inside).to(kind)
            below = _read(image, y + 1, x, height, width, inside).to(kind)
            across = _read(image, y + 1, x + 1, height, width, inside).to(kind)
            upper = here * (1 - share_w) + right * share_w
            lower = below * (1 - share_w) + across * share_w
            column = columns + (i * KW + j) * rows * out_width + pixel
            if GRADIENT:
                grad = tl.load(column, mask=inside, other=0.0).to(kind)
                slope_w = grad * ((right - here) * (1 - share_h) + (across - below) * share_h)
                # At an integer offset the derivative is the mean of both sides: from the pixel before to the next.
                if share_h == 0:
                    before = _read(image, y - 1, x, height, width, inside).to(kind) * (1 - share_w)
                    before += _read(image, y - 1, x + 1, height, width, inside).to(kind) * share_w
                    slope_h += grad * (lower - before) / 2
                else:
                    slope_h += grad * (lower - upper)
                if share_w == 0:
                    before = _read(image, y, x - 1, height, width, inside).to(kind) * (1 - share_h)
                    before += _read(image, y + 1, x - 1, height, width, inside).to(kind) * share_h
                    slope_w = grad * (right * (1 - share_h) + across * share_h - before) / 2
                part = ((plane.to(tl.int64) * KH + i) * KW + j) * blocks + block
                tl.store(parts_w + part, tl.sum(slope_w))
            value = upper * (1 - share_h) + lower * share_h
            tl.store(column, value.to(columns.dtype.element_ty), mask=inside)
        if GRADIENT:
            tl.store(parts_h + (plane.to(tl.int64) * KH + i) * blocks + block, tl.sum(slope_h))


@triton.jit
def _spread_kernel(  # type: ignore[no-untyped-def]
    columns,
    offsets_h,
    offsets_w,
    grad_image,
    first,
    height,
    width,
    rows,
    out_width,
    channels,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A block of pixels of one channel: what all outputs that read it give back."""
    plane = tl.program_id(0)
    c = plane % channels
    grad_image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * rows * out_width

    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    y, x = pixel // width, pixel % width
    kind = offsets_h.dtype.element_ty
    total = tl.zeros([BLOCK], kind)
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            tap = columns + (i * KW + j) * rows * out_width
            for below in tl.static_range(2):
                weight_h = share_h if below else 1 - share_h
                m, meets = _output(y - at_h - below, stride_h, first, inside)
                for right in tl.static_range(2):
                    weight_w = share_w if right else 1 - share_w
                    n, meets_too = _output(x - at_w - right, stride_w, 0, meets)
                    total += weight_h * weight_w * _read(tap, m, n, rows, out_width, meets_too).to(kind)
    if ADD:
        total += tl.load(grad_image + pixel, mask=inside, other=0.0)
    tl.store(grad_image + pixel, total, mask=inside)


@triton.jit
def _output(distance, stride, first, inside):  # type: ignore[no-untyped-def]
    """The output that lies ``distance`` pixels from the origin, counted from ``first``; and whether there is one."""
    # Division rounds towards zero, and remainders take the sign of what is divided: below zero there is no output.
    return distance // stride - first, inside & (distance >= 0) & (distance % stride == 0)
