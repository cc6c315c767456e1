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

ROOM_BYTES = 128 << 20
"""For the columns of one chunk: several images at once, so that launching kernels does not take longer than they do."""

SAMPLED_BYTES = 1024
"""Of one row of columns that a program writes."""

SPREAD_PIXELS = 512
"""Of the image that a program of the adjoint owns."""


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of image, weight and factors (by which the offsets grow in equal steps)."""
    image, *offsets = _ready(image, offsets_h, offsets_w)
    exact = offsets[0].dtype
    matrix = _matrix(weight, groups)
    # In float32 cuBLAS takes almost twice as long with a matrix that lies transposed.
    transposed = matrix.mT.contiguous() if weight.dtype == torch.float32 else matrix.mT
    grad_image, grad_factors = (
        torch.empty_like(image, dtype=exact),
        torch.zeros_like(offsets_h[:, 0], dtype=exact),
    )
    grad_matrix: Tensor | None = None
    for n, count, first, taken in _chunks(image, weight, grad.shape[2:]):
        grad_rows = _rows(grad[n : n + count], first, taken.shape[4], groups)
        _multiply(transposed, grad_rows, _flat(taken, groups))
        _spread(taken, offsets, stride, first, grad_image[n : n + count])
        columns, slopes = _sample_again(image[n : n + count], offsets, stride, first, taken)
        grad_factors += slopes
        with _precision_of_convolutions():
            parts = grad_rows @ _flat(columns, groups).mT
        part = parts.sum(0, dtype=exact) if count > 1 else parts[0]
        grad_matrix = part if grad_matrix is None else grad_matrix + part.to(exact)
    if grad_matrix is None:  # no images
        grad_matrix = torch.zeros_like(matrix)
    return grad_image, grad_matrix.view(weight.shape), grad_factors


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
    _launch_sampling(image, offsets, stride, first, columns, None)


def _sample_again(
    image: Tensor, offsets: list[Tensor], stride: list[int], first: int, grad_columns: Tensor
) -> tuple[Tensor, Tensor]:
    """The columns, and the derivatives of the factors [C]."""
    # Not in the place of their gradient: that a kernel writes where it has just read costs it ten times its time.
    columns = torch.empty_like(grad_columns)
    return columns, _launch_sampling(image, offsets, stride, first, columns, grad_columns).sum((0, 2))


def _launch_sampling(
    image: Tensor,
    offsets: list[Tensor],
    stride: list[int],
    first: int,
    columns: Tensor,
    grad_columns: Tensor | None,
) -> Tensor:
    """Write the columns; where their gradient is given, the factors' [N, C, blocks] is returned in parts."""
    batch, channels, kh, kw, rows, width = columns.shape
    pixels = SAMPLED_BYTES // columns.element_size()
    blocks = triton.cdiv(rows * width, pixels)
    slopes = offsets[0].new_empty(batch, channels, blocks if grad_columns is not None else 0)
    _sample_kernel[(batch * channels * blocks,)](
        image,
        *offsets,
        columns,
        grad_columns,
        slopes,
        first,
        image.shape[2],
        image.shape[3],
        rows,
        width,
        channels,
        blocks,
        *stride,
        KH=kh,
        KW=kw,
        GRADIENT=grad_columns is not None,
        BLOCK=pixels,
    )
    return slopes


def _spread(
    columns: Tensor, offsets: list[Tensor], stride: list[int], first: int, grad_image: Tensor
) -> None:
    """Adjoint of ``_sample``: the columns' gradient as that of the image, added up over chunks of rows."""
    batch, channels, kh, kw, rows, width = columns.shape
    height, image_width = grad_image.shape[2:]
    blocks = triton.cdiv(height * image_width, SPREAD_PIXELS)
    _spread_kernel[(batch * channels * blocks,)](
        columns,
        *offsets,
        grad_image,
        first,
        height,
        image_width,
        rows,
        width,
        channels,
        blocks,
        *stride,
        KH=kh,
        KW=kw,
        ADD=first > 0,
        BLOCK=SPREAD_PIXELS,
    )


@triton.jit
def _tap(offset):  # type: ignore[no-untyped-def]
    """The first pixel that a tap reads, and the next one's share."""
    offset = tl.load(offset)
    base = tl.floor(offset)
    # Further out everything is zero; a wild offset must not leave the range of whole numbers.
    return tl.clamp(base, -(2.0**28), 2.0**28).to(tl.int32), offset - base


@triton.jit
def _within(place, size):  # type: ignore[no-untyped-def]
    # Read without its sign, what lies before zero lies beyond everything: one comparison does for both.
    return tl.cast(place, tl.uint32, bitcast=True) < tl.cast(size, tl.uint32)


@triton.jit
def _along(place, x, width, share, inside, moves, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """Between the pixel at ``place``, column x of its row, and the next one; the slope too, where it ``moves``."""
    value = tl.load(place, mask=inside & _within(x, width), other=0.0).to(KIND)
    slope = tl.zeros_like(value)
    if share != 0:
        slope = tl.load(place + 1, mask=inside & _within(x + 1, width), other=0.0).to(KIND) - value
        value += share * slope
    elif moves:
        slope = tl.load(place + 1, mask=inside & _within(x + 1, width), other=0.0).to(KIND)
        slope -= tl.load(place - 1, mask=inside & _within(x - 1, width), other=0.0).to(KIND)
        slope *= 0.5
    return value, slope


@triton.jit
def _sample_kernel(  # type: ignore[no-untyped-def]
    image,
    offsets_h,
    offsets_w,
    columns,
    grad_columns,
    slopes,
    first,
    height,
    width,
    rows,
    out_width,
    channels,
    blocks,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """All taps of one channel over a block of output pixels.

    Where a tap falls on a pixel its derivative is the mean of both sides, for which more is read.
    """
    # Programs that run at one time shall read and write near each other.
    plane, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    c = plane % channels
    image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * rows * out_width
    if GRADIENT:
        grad_columns += plane.to(tl.int64) * KH * KW * rows * out_width
    kind = offsets_h.dtype.element_ty

    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < rows * out_width
    top, left = stride_h * (first + pixel // out_width), stride_w * (pixel % out_width)
    total = tl.zeros([BLOCK], kind)
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        step_h = (2 * i - (KH - 1)) * 0.5
        moves_h = (step_h != 0) & GRADIENT
        y = top + at_h
        on_row, on_next = inside & _within(y, height), inside & _within(y + 1, height)
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            moves_w = (2 * j != KW - 1) & GRADIENT
            x = left + at_w
            place = image + (y * width + x)
            value, slope_w = _along(place, x, width, share_w, on_row, moves_w, kind)
            slope_h = tl.zeros_like(value)
            if share_h != 0:
                lower, lower_slope = _along(place + width, x, width, share_w, on_next, moves_w, kind)
                slope_h = lower - value
                value += share_h * slope_h
                slope_w += share_h * (lower_slope - slope_w)
            elif moves_h:
                on_last = inside & _within(y - 1, height)
                lower, _ = _along(place + width, x, width, share_w, on_next, False, kind)
                upper, _ = _along(place - width, x, width, share_w, on_last, False, kind)
                slope_h = (lower - upper) * 0.5
            column = (i * KW + j) * rows * out_width + pixel
            if GRADIENT:
                grad = tl.load(grad_columns + column, mask=inside, other=0.0).to(kind)
                total += grad * (step_h * slope_h + (2 * j - (KW - 1)) * 0.5 * slope_w)
            tl.store(columns + column, value.to(columns.dtype.element_ty), mask=inside)
    if GRADIENT:
        tl.store(slopes + tl.program_id(0), tl.sum(total))


@triton.jit
def _output(distance, stride, first, size):  # type: ignore[no-untyped-def]
    """The output that lies ``distance`` pixels from the origin, counted from ``first``; and whether there is one."""
    place = distance // stride - first  # rounded towards zero, but then the remainder is not zero
    return place, (distance % stride == 0) & _within(place, size)


@triton.jit
def _against(tap, line, x, stride, width, share, inside, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """Adjoint of ``_along``: what the outputs of a line give back to a pixel, x from where the first one reads."""
    place, meets = _output(x, stride, 0, width)
    value = tl.load(tap + (line + place), mask=inside & meets, other=0.0).to(KIND)
    if share != 0:
        place, meets = _output(x - 1, stride, 0, width)
        value += share * (tl.load(tap + (line + place), mask=inside & meets, other=0.0).to(KIND) - value)
    return value


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
    blocks,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A block of pixels of one channel: what all outputs that read it give back."""
    plane, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    c = plane % channels
    grad_image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * rows * out_width
    kind = offsets_h.dtype.element_ty

    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    y, x = pixel // width, pixel % width
    total = tl.zeros([BLOCK], kind)
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        row, meets = _output(y - at_h, stride_h, first, rows)
        line, on_row = row * out_width, inside & meets
        row, meets = _output(y - at_h - 1, stride_h, first, rows)
        next_line, on_next = row * out_width, inside & meets
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            tap = columns + (i * KW + j) * rows * out_width
            from_w = x - at_w
            value = _against(tap, line, from_w, stride_w, out_width, share_w, on_row, kind)
            if share_h != 0:
                far = _against(tap, next_line, from_w, stride_w, out_width, share_w, on_next, kind)
                value += share_h * (far - value)
            total += value
    if ADD:
        total += tl.load(grad_image + pixel, mask=inside, other=0.0)
    tl.store(grad_image + pixel, total, mask=inside)
