"""Convolution with taps at real-valued distances, one per input channel, as an operator that PyTorch knows.

Forward and backward go over the output in chunks of rows: sample the columns of the chunk, multiply them by the
weights. The backward pass samples again instead of keeping the columns, which are as large as the kernel has taps.
"""

import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

from tessella.dilation.sampling import all_offsets, exact, plain_sampled_conv2d, tap_steps

CHUNK_BYTES = 8 << 20
"""Of the columns of one chunk: small beside a network's features, large enough for the matrix product."""

ALIGNED = 16
"""Numbers that a row of columns is a multiple of: the matrix product is a quarter slower where rows begin anywhere."""

_HAS_COMPILER = find_spec("numba") is not None
_HAS_TRITON = find_spec("triton") is not None
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
    factors = exact(factors)
    has_kernels = {"cpu": _HAS_COMPILER, "cuda": _HAS_TRITON}.get(image.device.type, False)
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
    matrix = weight.reshape(groups, -1, weight[0].numel())
    pixels = _pixels(image)
    offsets = all_offsets(weight, factors, centre)
    how = plan(pixels.numpy(), offsets[0].numpy(), offsets[1].numpy(), (stride[0], stride[1]), size[1])
    for n, first, rows, columns in _chunks(pixels, weight, size):
        fill_columns(pixels[n].numpy(), how, first, rows, columns.numpy())
        out = _rows(output[n], first, rows, groups)
        if _suits_onednn(weight, groups):
            out[0] = _times_transposed(matrix[0].contiguous(), columns.flatten(0, 2).mT)[:, : out.shape[2]]
        else:
            _multiply(matrix, _matrix(columns, groups, out.shape[2]).to(weight.dtype), out)
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
    matrix = weight.reshape(groups, -1, weight[0].numel())
    pixels = _pixels(image)
    offsets = all_offsets(weight, factors, centre)
    how = plan(pixels.numpy(), offsets[0].numpy(), offsets[1].numpy(), (stride[0], stride[1]), size[1])
    grad_pixels = torch.zeros_like(pixels)
    grad_matrix = torch.zeros(matrix.shape, dtype=pixels.dtype)
    grad_h, grad_w = (torch.zeros(axis.shape, dtype=torch.float64) for axis in offsets)
    fast = _suits_onednn(weight, groups)
    transposed = matrix.mT.contiguous() if fast else matrix.mT
    for n, first, rows, columns in _chunks(pixels, weight, size):
        grad_rows = _rows(grad[n], first, rows, groups)
        taken = _matrix(columns, groups, rows * size[1])
        if fast:
            grad_rows = nn.functional.pad(grad_rows, (0, columns.shape[3] - grad_rows.shape[2]))
            taken = _times_transposed(transposed[0], grad_rows[0].mT)[None]
            columns = taken.view(columns.shape)
        elif weight.dtype == columns.dtype:
            _multiply(transposed, grad_rows, taken)
        else:
            taken.copy_(transposed @ grad_rows)
        scatter_columns(
            pixels[n].numpy(),
            how,
            first,
            rows,
            columns.numpy(),
            grad_pixels[n].numpy(),
            grad_h.numpy(),
            grad_w.numpy(),
        )
        if fast:
            grad_matrix[0] += _times_transposed(grad_rows[0], taken[0])
        elif weight.dtype == columns.dtype:
            grad_matrix.baddbmm_(grad_rows, taken.mT)
        else:
            grad_matrix += grad_rows @ taken.mT.to(weight.dtype)
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
    return exact(image.detach()).contiguous()


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


def _chunks(pixels: Tensor, weight: Tensor, size: Any) -> Iterator[tuple[int, int, int, Tensor]]:
    """(image, first row of its output, rows, room for their columns [C, kh, kw, rows * Wo or more]) in turn."""
    taps = (pixels.shape[1], *weight.shape[2:])
    per_row = math.prod(taps) * size[1] * pixels.element_size()
    chunks = max(1, math.ceil(per_row * size[0] / CHUNK_BYTES))
    rows = math.ceil(size[0] / chunks)
    length = math.ceil(rows * size[1] / ALIGNED) * ALIGNED
    room = torch.empty(*taps, length, dtype=pixels.dtype)
    for n in range(pixels.shape[0]):
        for first in range(0, size[0], rows):
            yield n, first, min(rows, size[0] - first), room


def _matrix(columns: Tensor, groups: int, pixels: int) -> Tensor:
    """[C, kh, kw, pixels or more] as [groups, taps of a group, pixels]."""
    return columns.view(groups, -1, columns.shape[3])[..., :pixels]


def _rows(features: Tensor, first: int, count: int, groups: int) -> Tensor:
    """``count`` rows of features [C, Ho, Wo] as [groups, channels of a group, pixels]."""
    return features[:, first : first + count].flatten(1).unflatten(0, (groups, -1))


def _suits_onednn(weight: Tensor, groups: int) -> bool:
    """In float32 PyTorch multiplies matrices by MKL, which takes a tenth longer on processors that are not Intel's."""
    return _HAS_ONEDNN and groups == 1 and weight.dtype == torch.float32


def _times_transposed(a: Tensor, b: Tensor) -> Tensor:
    """a @ b.mT by oneDNN. ``a`` contiguous, ``b`` or its transpose too, and rows of columns ``ALIGNED``.

    For other strides oneDNN takes a thousand times as long.
    """
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")


def _multiply(a: Tensor, b: Tensor, out: Tensor) -> None:
    if a.shape[0] == 1:
        torch.mm(a[0], b[0], out=out[0])
    else:
        torch.bmm(a, b, out=out)


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
