"""Learnable dilated convolution as a function (thesis, section 4.2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from tessella.dilation.operator import is_transformed, sampled_conv2d
from tessella.errors import InputError


def learnable_dilated_conv2d(
    image: Float[Tensor, "*batch channels height width"],
    weight: Float[Tensor, "out_channels channels_of_group kh kw"],
    bias: Float[Tensor, " out_channels"] | None,
    dilation_factors: Float[Tensor, " channels"],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: float = 1.0,
    groups: int = 1,
    dilation_range: tuple[float, float] | None = None,
) -> Float[Tensor, "*batch out_channels out_height out_width"]:
    """Convolution whose taps are ``dilation_factors[c]`` pixels apart in input channel c (equation 4.2).

    Between pixels the image is interpolated bilinearly (equation 4.3), outside it is zero. ``dilation`` and
    ``padding`` place the centre of the kernel, and so fix the size of the output, whatever the factors are: tap i of
    output m reads at stride * m + dilation * (k - 1) / 2 - padding + (i - (k - 1) / 2) * dilation_factors[c].
    Where all factors equal ``dilation`` this is ``torch.nn.functional.conv2d``.

    The factors' gradient is that of the definition: equation 4.4 as printed lacks the tap's distance from the centre
    and the sums over positions and output channels. Where a tap falls on a pixel it is the mean of both sides.

    Derivatives of any order, in both modes, and torch.func's transforms work; first ones by backward are the fast ones.
    A pixel that is infinite makes every output NaN that reads beside it, where an integer factor lets the convolution
    itself skip it: the pixel's share there is zero times infinity.

    image: a batch, or one image by itself, as ``torch.nn.functional.conv2d`` takes them.
    dilation_range: factors are clipped to it; one outside has a gradient only where that brings it back.
    Raises InputError where shapes or types do not fit each other or factors are NaN (on a GPU, and in a compiled graph,
    the output is NaN then), ValueError where the image is smaller than the kernel.
    """
    _require_fit(image, weight, bias, dilation_factors, groups)
    single = image.ndim == 3
    image = image[None] if single else image
    require_numbers(dilation_factors)
    kernel = weight.shape[2:]
    size = output_size(image.shape[2:], kernel, stride, padding, dilation)
    if dilation_range is not None:
        dilation_factors = clip(dilation_factors, *dilation_range)
    device = image.device.type
    if device != "meta" and torch.is_autocast_enabled(device) and image.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)
        image, weight = image.to(dtype), weight.to(dtype)
    if image.dtype != weight.dtype:
        raise InputError(f"an image of {image.dtype} and weights of {weight.dtype}: give both the same type")
    centre = (
        dilation * (kernel[0] - 1) / 2 - padding[0],
        dilation * (kernel[1] - 1) / 2 - padding[1],
    )
    output = sampled_conv2d(image, weight, dilation_factors, centre, stride, size, groups)
    if bias is not None:
        shift = bias.to(output.dtype)[:, None, None]
        output = output + shift if is_transformed() else output.add_(shift)
    return output[0] if single else output


def _require_fit(image: Tensor, weight: Tensor, bias: Tensor | None, factors: Tensor, groups: int) -> None:
    """The compiled forms read memory by these numbers without looking: nothing may slip through."""
    if image.ndim not in (3, 4) or weight.ndim != 4:
        raise InputError(
            f"an image {list(image.shape)} and weights {list(weight.shape)}: give an image [channels, height, width], "
            "or a batch of them, and weights [out_channels, channels / groups, kh, kw]"
        )
    channels = weight.shape[1] * groups
    if image.shape[-3] != channels:
        raise InputError(
            f"an image of {image.shape[-3]} channels: weights {list(weight.shape)} in {groups} groups take {channels}"
        )
    if weight.shape[0] % groups:
        raise InputError(
            f"{weight.shape[0]} output channels in {groups} groups: choose groups that divide them"
        )
    if 0 in image.shape[-3:] or 0 in weight.shape:
        raise InputError(
            f"an image {list(image.shape)} and weights {list(weight.shape)}: give more than nothing"
        )
    if factors.shape != (channels,):
        raise InputError(
            f"dilation factors {list(factors.shape)}: give one for each of {channels} input channels"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InputError(f"a bias {list(bias.shape)}: give one for each of {weight.shape[0]} output channels")
    if not (image.is_floating_point() and factors.is_floating_point()):
        raise InputError(
            f"an image of {image.dtype}, dilation factors of {factors.dtype}: give floating-point numbers"
        )


def require_numbers(factors: Tensor) -> None:
    """Raises InputError where a factor is NaN."""
    # Asking a GPU would make it wait; there the loss becomes NaN and says so.
    visible = factors.device.type == "cpu" and not torch.compiler.is_compiling() and not is_transformed()
    if visible and factors.isnan().any():
        raise InputError(
            "dilation factors became NaN: learn them at a lower rate, from the last good checkpoint"
        )


def output_size(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: float,
) -> tuple[int, int]:
    """(height, width) of the output, as of ``nn.Conv2d`` with this ``dilation``.

    Raises ValueError where there would be none.
    """
    height, width = (
        (n + 2 * p - math.ceil(dilation * (k - 1)) - 1) // s + 1
        for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    if height < 1 or width < 1:
        raise ValueError(
            f"an image of {size[0]}x{size[1]} pixels with padding {padding} is smaller than a kernel "
            f"{kernel[0]}x{kernel[1]} of dilation {dilation:g}"
        )
    return height, width


class _Clip(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(factors: Tensor, low: float, high: float) -> Tensor:
        return factors.clamp(low, high)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        factors, ctx.low, ctx.high = inputs
        ctx.save_for_backward(factors)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (factors,) = ctx.saved_tensors
        # A step goes against the gradient: at the lower bound a positive one would leave the range.
        outward = torch.where(grad > 0, factors <= ctx.low, factors >= ctx.high)
        return grad.masked_fill(outward, 0), None, None


class _ClipInBothModes(_Clip):
    """With derivatives in forward mode, which torch.compile does not take."""

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        _Clip.setup_context(ctx, inputs, output)
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_: None) -> Tensor:  # type: ignore[no-untyped-def]
        (factors,) = ctx.saved_tensors
        outward = torch.where(tangent < 0, factors <= ctx.low, factors >= ctx.high)
        return tangent.masked_fill(outward, 0)


def clip(factors: Tensor, low: float, high: float) -> Tensor:
    """Factors within [low, high]; at and beyond a bound only a gradient that leads inwards gets through."""
    return (_Clip if torch.compiler.is_compiling() else _ClipInBothModes).apply(factors, low, high)
