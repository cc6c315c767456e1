"""The operator on a GPU: columns sampled by Triton kernels, and cuBLAS's matrix product.

As on the processor, columns are sampled into a room of limited size, used, and sampled again in the backward pass. A
program of the adjoint owns the pixels that it adds to, so that there are no atomics and results repeat to the bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import triton
from torch import Tensor
from torch.nn import functional as F

from tessella.dilation.gpu_kernels import sample_kernel, spread_kernel

ROOM_BYTES = 128 << 20
"""For the columns of one chunk: several images at once, so that launching kernels does not take longer than they do."""

ALIGNED = 16
"""Numbers that a row of columns is a multiple of: cuBLAS is slow where rows begin anywhere."""

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
    with _precision_of_convolutions():
        for n, count, first, rows, columns in _chunks(image, weight, output.shape[2:]):
            _sample(image[n : n + count], offsets, stride, first, output.shape[3], columns)
            _multiply(matrix, _flat(columns, groups), _rows(output[n : n + count], first, rows, groups))


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
    grad_image = torch.empty_like(image, dtype=exact)
    grad_factors = torch.zeros_like(offsets_h[:, 0], dtype=exact)
    grad_matrix: Tensor | None = None
    with _precision_of_convolutions():
        for n, count, first, rows, taken in _chunks(image, weight, grad.shape[2:]):
            some, width = image[n : n + count], grad.shape[3]
            grad_rows = _padded(_rows(grad[n : n + count], first, rows, groups), taken.shape[4])
            _multiply(transposed, grad_rows, _flat(taken, groups))
            _spread(taken, offsets, stride, first, rows, width, grad_image[n : n + count])
            columns, slopes = _sample_again(some, offsets, stride, first, width, taken)
            grad_factors += slopes
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
    """Write matrix [groups, A, B] @ taken [N, groups, B, pixels or more] into ``out`` where it lies."""
    if matrix.shape[0] == 1 and taken.shape[3] == out.shape[3]:
        torch.bmm(matrix.expand(len(taken), -1, -1), taken[:, 0], out=out[:, 0])
    else:
        out.copy_((matrix @ taken)[..., : out.shape[3]])


def _padded(rows: Tensor, length: int) -> Tensor:
    return F.pad(rows, (0, length - rows.shape[3])) if length > rows.shape[3] else rows


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
    """[N, C, kh, kw, pixels or more] as [N, groups, taps of a group, pixels or more]."""
    return columns.view(columns.shape[0], groups, -1, columns.shape[4])


def _chunks(image: Tensor, weight: Tensor, size: torch.Size) -> Iterator[tuple[int, int, int, int, Tensor]]:
    """(first image, images, first row of the output, rows, room for columns [N, C, kh, kw, rows * Wo or more])."""
    taps = (image.shape[1], *weight.shape[2:])
    per_pixel = taps[0] * taps[1] * taps[2]
    fitting = max(1, ROOM_BYTES // (per_pixel * size[1] * weight.element_size()))  # rows
    images, rows = max(1, min(image.shape[0], fitting // size[0])), min(size[0], fitting)
    longest = triton.cdiv(rows * size[1], ALIGNED) * ALIGNED
    room = torch.empty(images * per_pixel * longest, dtype=weight.dtype, device=image.device)
    for n in range(0, image.shape[0], images):
        count = min(images, image.shape[0] - n)
        for first in range(0, size[0], rows):
            height = min(rows, size[0] - first)
            length = triton.cdiv(height * size[1], ALIGNED) * ALIGNED
            yield n, count, first, height, room[: count * per_pixel * length].view(count, *taps, length)


def _sample(
    image: Tensor, offsets: list[Tensor], stride: list[int], first: int, width: int, columns: Tensor
) -> None:
    """Write what the taps read for the output's rows from ``first`` on, ``width`` pixels each."""
    _launch_sampling(image, offsets, stride, first, width, columns, None)


def _sample_again(
    image: Tensor, offsets: list[Tensor], stride: list[int], first: int, width: int, grad_columns: Tensor
) -> tuple[Tensor, Tensor]:
    """The columns, and the derivatives of the factors [C]."""
    # Not in the place of their gradient: that a kernel writes where it has just read costs it ten times its time.
    columns = torch.empty_like(grad_columns)
    slopes = _launch_sampling(image, offsets, stride, first, width, columns, grad_columns)
    return columns, slopes.sum((0, 2))


def _launch_sampling(
    image: Tensor,
    offsets: list[Tensor],
    stride: list[int],
    first: int,
    width: int,
    columns: Tensor,
    grad_columns: Tensor | None,
) -> Tensor:
    """Write the columns; where their gradient is given, the factors' [N, C, blocks] is returned in parts."""
    batch, channels, kh, kw, length = columns.shape
    pixels = SAMPLED_BYTES // columns.element_size()
    blocks = triton.cdiv(length, pixels)
    slopes = offsets[0].new_empty(batch, channels, blocks if grad_columns is not None else 0)
    sample_kernel[(batch * channels * blocks,)](
        image,
        *offsets,
        columns,
        grad_columns,
        slopes,
        first,
        image.shape[2],
        image.shape[3],
        length,
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
    columns: Tensor,
    offsets: list[Tensor],
    stride: list[int],
    first: int,
    rows: int,
    width: int,
    grad_image: Tensor,
) -> None:
    """Adjoint of ``_sample``: the columns' gradient as that of the image, added up over chunks of rows."""
    batch, channels, kh, kw, length = columns.shape
    height, image_width = grad_image.shape[2:]
    blocks = triton.cdiv(height * image_width, SPREAD_PIXELS)
    spread_kernel[(batch * channels * blocks,)](
        columns,
        *offsets,
        grad_image,
        first,
        height,
        image_width,
        rows,
        width,
        length,
        channels,
        blocks,
        *stride,
        KH=kh,
        KW=kw,
        ADD=first > 0,
        BLOCK=SPREAD_PIXELS,
    )
