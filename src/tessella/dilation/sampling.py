"""Sampling and the convolution in plain PyTorch, differentiable to any order: what the compiled forms are equal to."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tessella.precision import full_precision


def plain_sampled_conv2d(
    image: Tensor,
    weight: Tensor,
    factors: Tensor,
    centre: tuple[float, float],
    stride: tuple[int, int],
    size: tuple[int, int],
    groups: int = 1,
) -> Tensor:
    """``sampled_conv2d`` in plain PyTorch: for any device, and differentiable to any order."""
    offsets = all_offsets(weight, factors, centre)
    columns = sample(full_precision(image), *offsets, stride, size).to(weight.dtype)
    columns = columns.reshape(image.shape[0], groups, weight[0].numel(), size[0] * size[1])
    product = weight.reshape(groups, -1, weight[0].numel()) @ columns
    return product.reshape(image.shape[0], weight.shape[0], *size)


def all_offsets(weight: Tensor, factors: Tensor, centre: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Where the taps read along each axis, [C, kh] and [C, kw]."""
    kernel = weight.shape[2:]
    vertical = tap_offsets(kernel[0], centre[0], factors)
    if kernel[0] == kernel[1] and centre[0] == centre[1]:
        return vertical, vertical
    return vertical, tap_offsets(kernel[1], centre[1], factors)


def tap_steps(taps: int, like: Tensor) -> Float[Tensor, " taps"]:
    """Distance of each tap from the kernel's centre, in factors."""
    return torch.arange((1 - taps) / 2, taps / 2, device=like.device, dtype=like.dtype)


def tap_offsets(
    taps: int, centre: float, factors: Float[Tensor, " channels"]
) -> Float[Tensor, "channels taps"]:
    """Where each tap reads along an axis, in pixels from stride * output; ``centre`` is where their middle lies."""
    return factors[:, None] * tap_steps(taps, factors) + centre


def sample(
    image: Float[Tensor, "batch channels height width"],
    offsets_h: Float[Tensor, "channels kh"],
    offsets_w: Float[Tensor, "channels kw"],
    stride: tuple[int, int],
    size: tuple[int, int],
) -> Float[Tensor, "batch channels kh kw out_height out_width"]:
    """What tap (i, j) reads for output pixel (m, n) of channel c: the image, zero outside, at
    (stride * m + offsets_h[c, i], stride * n + offsets_w[c, j]), interpolated bilinearly.
    """
    rows = _sample_last(image.transpose(2, 3), offsets_h, stride[0], size[0])  # [N, C, W, kh, Ho]
    both = _sample_last(rows.permute(0, 1, 3, 4, 2), offsets_w, stride[1], size[1])  # [N, C, kh, Ho, kw, Wo]
    return both.transpose(3, 4)


def _sample_last(signal: Tensor, offsets: Tensor, stride: int, size: int) -> Tensor:
    """[N, C, ..., L] at stride * n + offsets [C, k], zero outside, to [N, C, ..., k, size]."""
    length = signal.shape[-1]
    base = offsets.detach().floor()
    far = (offsets - base).to(signal.dtype)
    # Three reads, so that at an integer offset the slope is the mean of both sides.
    integer = (far == 0).detach()
    zero = torch.zeros_like(far)
    weights = (
        torch.where(integer, -far / 2, zero),
        torch.where(integer, zero + 1, 1 - far),
        torch.where(integer, far / 2, far),
    )
    places = base.long()[..., None] + stride * torch.arange(size, device=signal.device)  # [C, k, size]
    middle = [1] * (signal.ndim - 3)
    shape = (*signal.shape[:-1], offsets.shape[1] * size)
    total: Tensor | None = None
    for step, weight in zip((-1, 0, 1), weights, strict=True):
        place = places + step
        index = place.clamp(0, length - 1).reshape(1, place.shape[0], *middle, -1).expand(shape)
        inside = ((place >= 0) & (place < length)).to(signal.dtype) * weight[..., None]
        read = signal.gather(-1, index) * inside.reshape(1, place.shape[0], *middle, -1)
        total = read if total is None else total + read
    assert total is not None
    return total.unflatten(-1, (offsets.shape[1], size))
