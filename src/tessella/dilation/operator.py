"""Convolution with taps at real-valued distances, one per input channel, as an operator that PyTorch knows.

Columns are as large as the kernel has taps: threads sample chunks of them and multiply each while it is in their cache.
Forward, a chunk is rows of the output; backward, which samples again instead of keeping columns, it is channels, whose
gradients do not meet. Chunks do not depend on the number of threads, nor does the result.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

from tessella.compilers import HAS_NUMBA, HAS_TRITON
from tessella.dilation.sampling import all_offsets, plain_sampled_conv2d, tap_steps
from tessella.precision import full_precision
from tessella.threads import in_threads

CHUNK_BYTES = 5 << 19
"""Of the columns of one chunk, one for each thread: near a core's cache, large enough for the matrix product."""

BLOCK_TAPS = 288
"""Rows of the columns of one chunk in the backward pass."""

ALIGNED = 16
"""Numbers that a row of columns is a multiple of: the matrix product is a quarter slower where rows begin anywhere."""

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def sampled_conv2d(
    image: Float[Tensor, "batch channels height width"],
    weight: Float[Tensor, "out_channels channels_of_group kh kw"],
    factors: Float[Tensor, " channels"],
    centre: tuple[float, float],
    stride: tuple[int, int],
    size: tuple[int, int],
    groups: int = 1,
) -> Float[Tensor, "batch out_channels out_height out_width"]:
    """Sum over channels c and taps (i, j) of weight * image, zero outside, interpolated bilinearly, at
    (stride * m + centre + (i - (kh - 1) / 2) * factors[c], stride * n + centre + (j - (kw - 1) / 2) * factors[c]).

    Where a tap meets a pixel its derivative is the mean of both sides. Sampling is done in float32 at least.
    """
    factors = full_precision(factors)
    has_kernels = {"cpu": HAS_NUMBA, "cuda": HAS_TRITON}.get(image.device.type, False)
    if has_kernels and not torch.compiler.is_exporting() and not is_transformed():
        return _compiled(image, weight, factors, list(centre), list(stride), list(size), groups)
    return plain_sampled_conv2d(image, weight, factors, centre, stride, size, groups)


def is_transformed() -> bool:
    """Whether torch.func's transforms or derivatives in forward mode are at work: our operators have no rules for them,
    and some would get zeros instead of an error.
    """
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


@torch.library.custom_op("tessella::sampled_conv2d", mutates_args=(), device_types="cpu")
def _compiled(
    image: Tensor,
    weight: Tensor,
    factors: Tensor,
    centre: list[float],
    stride: list[int],
    size: list[int],
    groups: int,
) -> Tensor:
    from tessella.dilation.compiled import fill_columns, plan  # numba takes half a second to import

    output = _features(image, weight.shape[0], *size)
    matrix = _matrix(weight, groups).contiguous()
    pixels = _pixels(image)
    offsets = all_offsets(weight, factors, centre)
    how = plan(pixels.numpy(), offsets[0].numpy(), offsets[1].numpy(), (stride[0], stride[1]), size[1])
    taps = weight[0].numel() * groups
    rows, length = _chunk(taps, size, pixels.element_size(), multiple=4)
    todo = [(n, first) for n in range(image.shape[0]) for first in range(0, size[0], rows)]
    left = iter(todo)
    onednn = _suits_onednn(weight, groups)

    def work() -> None:
        columns = torch.empty(pixels.shape[1], *weight.shape[2:], length, dtype=pixels.dtype)
        for n, first in left:
            count = min(rows, size[0] - first)
            fill_columns(pixels[n].numpy(), how, first, count, columns.numpy())
            out = _rows(output[n], first, count, groups)
            product = _product(matrix, columns.view(groups, -1, length).to(weight.dtype), onednn)
            out.copy_(product[..., : out.shape[2]])

    in_threads(work, min(torch.get_num_threads(), len(todo)))
    return output


@torch.library.custom_op("tessella::sampled_conv2d_backward", mutates_args=(), device_types="cpu")
def _compiled_backward(
    grad: Tensor,
    image: Tensor,
    weight: Tensor,
    factors: Tensor,
    centre: list[float],
    stride: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor]:
    from tessella.dilation.compiled import plan, scatter_columns

    size = grad.shape[2:]
    kernel = weight.shape[2:]
    transposed = _matrix(weight, groups).mT.contiguous()
    pixels = _pixels(image)
    offsets = all_offsets(weight, factors, centre)
    how = plan(pixels.numpy(), offsets[0].numpy(), offsets[1].numpy(), (stride[0], stride[1]), size[1])
    grad_pixels = torch.zeros_like(pixels)
    grad_matrix = torch.zeros(groups, weight.shape[0] // groups, weight[0].numel(), dtype=pixels.dtype)
    grad_h, grad_w = (torch.zeros(axis.shape, dtype=torch.float64) for axis in offsets)
    rows, length = _chunk(min(BLOCK_TAPS, weight[0].numel() * groups), size, pixels.element_size())
    onednn = _suits_onednn(weight, groups)
    blocks = list(_blocks(groups, weight.shape[1], kernel.numel()))

    def work(n: int, chunks: list[tuple[int, int, Tensor]], left: Iterator[tuple[slice, slice]]) -> None:
        for (some, here), (first, count, grad_rows) in ((block, chunk) for block in left for chunk in chunks):
            columns = _product(transposed[some, here], grad_rows[some], onednn).to(pixels.dtype)
            scatter_columns(
                pixels[n].numpy(),
                how,
                some.start * weight.shape[1] + here.start // kernel.numel(),
                first,
                count,
                columns.view(-1, *kernel, length).numpy(),
                grad_pixels[n].numpy(),
                grad_h.numpy(),
                grad_w.numpy(),
            )
            grad_matrix[some, :, here] += _product(grad_rows[some], columns.to(weight.dtype).mT, onednn)

    for n in range(image.shape[0]):
        chunks = []
        for first in range(0, size[0], rows):
            count = min(rows, size[0] - first)
            part = nn.functional.pad(_rows(grad[n], first, count, groups), (0, length - count * size[1]))
            chunks.append((first, count, part.contiguous()))
        in_threads(partial(work, n, chunks, iter(blocks)), min(torch.get_num_threads(), len(blocks)))
    return (
        grad_pixels.to(image.dtype, memory_format=_memory_format(image)),
        grad_matrix.reshape(weight.shape).to(weight.dtype),
        _grad_factors(grad_h, grad_w).to(factors.dtype),
    )


def _grad_factors(grad_h: Tensor, grad_w: Tensor) -> Tensor:
    return (grad_h * tap_steps(grad_h.shape[1], grad_h)).sum(1) + (
        grad_w * tap_steps(grad_w.shape[1], grad_w)
    ).sum(1)


def _pixels(image: Tensor) -> Tensor:
    return full_precision(image.detach()).contiguous()


def _features(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """An empty tensor in the memory format of ``like``."""
    return torch.empty(
        like.shape[0],
        channels,
        height,
        width,
        dtype=like.dtype,
        device=like.device,
        memory_format=_memory_format(like),
    )


def _memory_format(image: Tensor) -> torch.memory_format:
    """Channels last only where that is unambiguous."""
    channels_last = image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous()
    return torch.channels_last if channels_last else torch.contiguous_format


def _chunk(taps: int, size: Any, element_size: int, multiple: int = 1) -> tuple[int, int]:
    """Rows of the output that are worked on at once, and how many numbers each tap of them has room for.

    multiple: of which the number of chunks is one, if rows allow, so that threads have as many each.
    """
    whole = taps * size[0] * size[1] * element_size
    chunks = multiple * math.ceil(whole / CHUNK_BYTES / multiple)
    rows = math.ceil(size[0] / max(1, chunks))
    return rows, math.ceil(rows * size[1] / ALIGNED) * ALIGNED


def _blocks(groups: int, channels: int, taps: int) -> Iterator[tuple[slice, slice]]:
    """Groups of ``channels`` channels, and columns of each, that are worked on at once in the backward pass."""
    many = max(1, BLOCK_TAPS // taps)
    whole = max(1, many // channels)
    for group in range(0, groups, whole):
        for channel in range(0, channels, many):
            last = min(channel + many, channels)
            yield slice(group, min(group + whole, groups)), slice(channel * taps, last * taps)


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """[groups, output channels of a group, taps of a group]."""
    return weight.detach().reshape(groups, -1, weight[0].numel())


def _rows(features: Tensor, first: int, count: int, groups: int) -> Tensor:
    """``count`` rows of features [C, Ho, Wo] as [groups, channels of a group, pixels]."""
    return features[:, first : first + count].flatten(1).unflatten(0, (groups, -1))


def _suits_onednn(weight: Tensor, groups: int) -> bool:
    """In float32 PyTorch multiplies matrices by MKL, which takes a tenth longer on processors that are not Intel's."""
    return _HAS_ONEDNN and groups == 1 and weight.dtype == torch.float32


def _product(a: Tensor, b: Tensor, onednn: bool) -> Tensor:
    """a @ b of [groups, M, K] and [groups, K, N]; for oneDNN of one group, contiguous, ``b`` or its transpose.

    For other strides, and rows of columns that are not ``ALIGNED``, oneDNN takes a thousand times as long.
    """
    if onednn:
        return torch.ops.mkldnn._linear_pointwise(a[0], b[0].mT, None, "none", [], "")[None]
    return a @ b


@_compiled.register_kernel("cuda")
def _(
    image: Tensor,
    weight: Tensor,
    factors: Tensor,
    centre: list[float],
    stride: list[int],
    size: list[int],
    groups: int,
) -> Tensor:
    from tessella.dilation import gpu

    output = _features(image, weight.shape[0], *size)
    gpu.forward(image, weight, *all_offsets(weight, factors, centre), stride, groups, output)
    return output


@_compiled_backward.register_kernel("cuda")
def _(
    grad: Tensor,
    image: Tensor,
    weight: Tensor,
    factors: Tensor,
    centre: list[float],
    stride: list[int],
    groups: int,
) -> tuple[Tensor, Tensor, Tensor]:
    from tessella.dilation import gpu

    offsets = all_offsets(weight, factors, centre)
    grad_image, grad_weight, grad_factors = gpu.backward(grad, image, weight, *offsets, stride, groups)
    return (
        grad_image.to(image.dtype, memory_format=_memory_format(image)),
        grad_weight.to(weight.dtype),
        grad_factors.to(factors.dtype),
    )


@_compiled.register_fake
def _(
    image: Tensor, weight: Tensor, factors: Tensor, centre: Any, stride: Any, size: Any, groups: int
) -> Tensor:
    return _features(image, weight.shape[0], *size)


@_compiled_backward.register_fake
def _(grad: Tensor, image: Tensor, weight: Tensor, factors: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return (
        _features(image, *image.shape[1:]),
        torch.empty_like(weight, memory_format=torch.contiguous_format),
        torch.empty_like(factors),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.centre, ctx.stride, _, ctx.groups = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # these gradients shall be differentiated
        return _plain_backward(ctx, grad)
    grads = _compiled_backward(grad, *ctx.saved_tensors, ctx.centre, ctx.stride, ctx.groups)
    return (*grads, None, None, None, None)


def _plain_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    image, weight, factors = tensors = ctx.saved_tensors
    output = plain_sampled_conv2d(
        image, weight, factors, ctx.centre, ctx.stride, (grad.shape[2], grad.shape[3]), ctx.groups
    )
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    grads = iter(torch.autograd.grad(output, wanted, grad, create_graph=True))
    return (*(next(grads) if tensor.requires_grad else None for tensor in tensors), None, None, None, None)


_compiled.register_autograd(_backward, setup_context=_save)
