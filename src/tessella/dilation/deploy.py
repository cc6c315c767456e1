"""Networks whose dilation is learned to the end: made of ordinary operations, for any runtime."""

import math
from collections.abc import Callable
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.dilation.functional import output_size, require_numbers
from tessella.dilation.layer import LearnableDilatedConv2d
from tessella.errors import InputError, naming


def fold_dilation(model: nn.Module) -> nn.Module:
    """Fix the factors where they are, in place: shifts, interpolations and a convolution of one pixel.

    The output stays the same. Exports to torch.export and ONNX, and needs nothing of Tessella to run.
    """
    return _replace(model, FoldedDilatedConv2d)


def round_dilation(model: nn.Module) -> nn.Module:
    """Round every factor to the nearest integer of its range, in place; the layers stay learnable, the output changes a
    little.

    Raises InputError where no integer lies in a layer's range.
    """
    found = _learned(model)
    for name, layer in found:
        if math.ceil(layer.dilation_range[0]) > layer.dilation_range[1]:
            raise InputError(
                f"{name or type(model).__name__}: no integer lies in its range {layer.dilation_range}: fold_dilation "
                "keeps its factors as they are"
            )
    for _, layer in found:
        low, high = layer.dilation_range
        with torch.no_grad():
            layer.dilation_factors.round_().clamp_(math.ceil(low), math.floor(high))
    return model


def as_plain_convolutions(model: nn.Module) -> nn.Module:
    """Replace the layers by sums of ordinary dilated convolutions, one for each factor that occurs, in place.

    The output stays the same.
    Raises InputError where factors are no integers: use ``round_dilation`` before.
    """
    return _replace(model, RoundedDilatedConv2d)


def _learned(model: nn.Module) -> list[tuple[str, LearnableDilatedConv2d]]:
    """All learnable layers and their names. Raises InputError where a factor is NaN."""
    found = [
        (name, layer)
        for name, layer in model.named_modules(remove_duplicate=False)
        if isinstance(layer, LearnableDilatedConv2d)
    ]
    for name, layer in found:
        with naming(name or type(model).__name__):
            require_numbers(layer.factors().cpu())
    return found


def _replace(model: nn.Module, make: Callable[[LearnableDilatedConv2d], nn.Module]) -> nn.Module:
    made: dict[nn.Module, nn.Module] = {}
    found = _learned(model)
    for name, layer in found:
        if layer not in made:
            with naming(name or type(model).__name__):
                made[layer] = make(layer).train(layer.training)
    for name, layer in found:
        if not name:
            return made[layer]
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, made[layer])
    return model


class _Fixed(nn.Module):
    """What models read of their convolutions, as Hugging Face's MobileNetV2 does to pad as TensorFlow would."""

    def __init__(self, layer: LearnableDilatedConv2d) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = layer.in_channels, layer.out_channels, layer.groups
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        self.padding, self.dilation = layer.padding, layer.dilation


class FoldedDilatedConv2d(_Fixed):
    """A learned layer with its factors as constants, in ordinary operations.

    Channels are sorted by their factors. Those that read the same pixels stand together then, and are sampled by
    slices of the padded image.
    """

    weight: Tensor
    bias: Tensor | None
    order: Tensor
    inverse: Tensor

    def __init__(self, layer: LearnableDilatedConv2d) -> None:
        super().__init__(layer)
        factors = layer.factors().cpu()
        order = factors.argsort(stable=True)
        self.vertical, self.horizontal = (
            _Slices(factors[order], *axis, self.dilation[0])
            for axis in zip(layer.kernel_size, layer.padding, layer.stride, strict=True)
        )
        self.to(layer.weight.device, layer.weight.dtype)
        self.register_buffer("order", order.to(layer.weight.device))
        self.register_buffer("inverse", order.argsort().to(layer.weight.device))
        self.register_buffer("weight", layer.weight.detach().flatten(1)[:, :, None, None].clone())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, image: Float[Tensor, "*batch channels height width"]) -> Tensor:
        if image.ndim == 3:
            return self.forward(image[None])[0]
        height, width = output_size(
            image.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation[0]
        )
        rows = self.vertical(image[:, self.order].transpose(2, 3), height)  # [N, C, W, kh, Ho]
        taps = self.horizontal(rows.permute(0, 1, 3, 4, 2), width)  # [N, C, kh, Ho, kw, Wo]
        taps = taps.transpose(3, 4)[:, self.inverse].flatten(1, 3)
        return F.conv2d(taps, self.weight, self.bias, groups=self.groups)


class _Slices(nn.Module):
    """Samples signals [N, C, ..., L] along their last axis at fixed offsets, to [N, C, ..., taps, size]."""

    far: Tensor

    def __init__(self, factors: Tensor, taps: int, padding: int, stride: int, dilation: float) -> None:
        super().__init__()
        centre = dilation * (taps - 1) / 2 - padding
        offsets = centre + factors[:, None] * (torch.arange(taps) - (taps - 1) / 2)
        base = offsets.floor().long()
        self.register_buffer("far", offsets - base)
        self.stride = stride
        self.runs = [(tuple(base_), len(list(run))) for base_, run in groupby(base.tolist())]
        # The last sample reads ``stride * (size - 1)`` further on, which the output's size relates to the length.
        past = 2 * padding - math.ceil(dilation * (taps - 1))
        self.margin = (max(0, -int(base.min())), max(0, int(base.max()) + 1 + past))

    def forward(self, signal: Tensor, size: int) -> Tensor:
        padded = F.pad(signal, self.margin)
        first, sampled = 0, []
        for bases, count in self.runs:
            part = padded[:, first : first + count]
            far = self.far[first : first + count].reshape(1, count, *[1] * (signal.ndim - 3), -1)
            taps = [self._tap(part, base, far[..., i : i + 1], size) for i, base in enumerate(bases)]
            sampled.append(torch.stack(taps, dim=-2))
            first += count
        return torch.cat(sampled, dim=1)

    def _tap(self, part: Tensor, base: int, far: Tensor, size: int) -> Tensor:
        start, reach = base + self.margin[0], self.stride * (size - 1) + 1
        near_read = part[..., start : start + reach : self.stride]
        far_read = part[..., start + 1 : start + 1 + reach : self.stride]
        return near_read + far * (far_read - near_read)


class RoundedDilatedConv2d(_Fixed):
    """A learned layer with integer factors as a sum of ordinary dilated convolutions, one for each factor.

    Each sees the channels of its factor; in a grouped convolution it sees all, the others weighted by zero.

    Raises InputError where a factor is no integer, or puts taps between pixels as even kernels may.
    """

    def __init__(self, layer: LearnableDilatedConv2d) -> None:
        super().__init__(layer)
        factors = layer.factors()
        if (factors != factors.round()).any():
            raise InputError("dilation factors are no integers: round_dilation rounds them")
        self.bias = layer.bias
        self.steps = factors.unique().int().tolist()
        self.paddings = [_padding(layer, step) for step in self.steps]
        for step in self.steps:
            chosen = factors == step
            weight = layer.weight.detach()
            if layer.groups == 1:
                self.register_buffer(f"channels_{step}", chosen.nonzero()[:, 0])
                weight = weight[:, chosen].clone()
            else:
                of_group = chosen.view(layer.groups, 1, -1).expand(-1, len(weight) // layer.groups, -1)
                weight = weight * of_group.flatten(0, 1)[:, :, None, None]
            self.register_buffer(f"weight_{step}", weight)

    def forward(self, image: Float[Tensor, "*batch channels height width"]) -> Tensor:
        if image.ndim == 3:
            return self.forward(image[None])[0]
        total = None if self.bias is None else self.bias[:, None, None]
        for step, padding in zip(self.steps, self.paddings, strict=True):
            part = image[:, getattr(self, f"channels_{step}")] if self.groups == 1 else image
            down, right = (min(0, p) for p in padding)
            if down or right:
                part = F.pad(part, (right, right, down, down))  # less than nothing: crops
            outer = [max(0, p) for p in padding]
            weight = getattr(self, f"weight_{step}")
            taken = F.conv2d(part, weight, None, self.stride, outer, step, self.groups)
            total = taken if total is None else total + taken
        assert total is not None
        return total


def _padding(layer: LearnableDilatedConv2d, step: int) -> list[int]:
    """With which an ordinary convolution of dilation ``step`` has the centre of the learned layer's kernel."""
    doubled = [
        2 * p + (step - layer.dilation[0]) * (k - 1)
        for k, p in zip(layer.kernel_size, layer.padding, strict=True)
    ]
    if any(twice % 2 for twice in doubled):
        raise InputError(
            f"a kernel of {layer.kernel_size} taps with dilation {step} reads between pixels here: fold_dilation "
            "keeps that"
        )
    return [int(twice) // 2 for twice in doubled]
