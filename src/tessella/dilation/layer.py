"""The learnable dilated convolution as a layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.dilation.functional import clip, learnable_dilated_conv2d
from tessella.errors import InputError

Initial = Literal["constant", "uniform"] | float | Sequence[float] | Tensor
"""Factors to begin with: a rule, a number, or one number for each input channel."""


class LearnableDilatedConv2d(nn.Conv2d):
    """A dilated ``nn.Conv2d`` that learns how far apart its taps are, for every input channel (thesis, chapter 4).

    Takes the place of ``nn.Conv2d(..., dilation=dilation, padding=padding)``: same output size whatever is learned,
    same output while all factors equal ``dilation``, same names and shapes of weights, and it loads that layer's
    state dict. It adds ``dilation_factors`` [in_channels], shared by height and width, learned with the weights and
    kept within ``dilation_range``. They are best learned at a rate of their own and without weight decay, see
    ``tessella.dilation.parameter_groups``.

    Args:
        dilation: initial factor; with ``padding`` it places the kernel's centre and fixes the output's size. A pair is
            taken where both are the same.
        dilation_range: lowest and highest factor, of which the lowest is at least 1.
        initial: "constant" begins with ``dilation`` everywhere, "uniform" anywhere in the range; or a number, or one
            for each input channel [in_channels], as copied from a trained layer.
        per_channel: False learns one factor for all channels.
        padding_mode: "zeros", for callers that say so.

    Raises:
        InputError: ``dilation`` or ``initial`` outside ``dilation_range``, a range below 1 or upside down, factors that
            are not one for each channel, another border than zeros.
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[float, float]  # type: ignore[assignment]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: float | tuple[float, float] = 2.0,
        groups: int = 1,
        bias: bool = True,
        dilation_range: tuple[float, float] = (1, 4),
        *,
        initial: Initial = "constant",
        per_channel: bool = True,
        padding_mode: Literal["zeros"] = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dilation = _one_dilation(dilation)
        require_range(dilation, dilation_range)
        if isinstance(padding, str):
            raise InputError(f"padding {padding!r}: give the padding in pixels")
        if padding_mode != "zeros":
            raise InputError(f"padding_mode {padding_mode!r}: outside the image there are zeros")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            1,
            groups,
            bias,
            device=device,
            dtype=dtype,
        )
        step = int(dilation) if float(dilation).is_integer() else dilation
        self.dilation = (step, step)
        self.dilation_range = dilation_range
        # A factor in half precision would stand still: its steps are smaller than what half precision tells apart.
        exact = torch.promote_types(self.weight.dtype, torch.float32)
        count = in_channels if per_channel else 1
        start = initial_factors(initial, count, dilation, dilation_range)
        self.dilation_factors = nn.Parameter(start.to(self.weight.device, exact))

    def forward(self, image: Float[Tensor, "*batch channels height width"]) -> Tensor:
        return learnable_dilated_conv2d(
            image,
            self.weight,
            self.bias,
            self.dilation_factors.expand(self.in_channels),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation[0],
            groups=self.groups,
            dilation_range=self.dilation_range,
        )

    def factors(self) -> Float[Tensor, " in_channels"]:
        """The factors in use: within the range, one for each input channel."""
        return clip(self.dilation_factors, *self.dilation_range).expand(self.in_channels).detach()

    def extra_repr(self) -> str:
        low, high = self.dilation_range
        return f"{super().extra_repr()}, dilation_range=({low:g}, {high:g})"

    def _apply(self, fn: Any, recurse: bool = True) -> LearnableDilatedConv2d:
        exact = self.dilation_factors.detach()
        super()._apply(fn, recurse)
        if self.dilation_factors.dtype in (torch.float16, torch.bfloat16):  # ``.half()``, ``.bfloat16()``
            self.dilation_factors = nn.Parameter(
                exact.to(self.dilation_factors.device), self.dilation_factors.requires_grad
            )
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # The weights of an ordinary convolution begin at the factors that stand here.
        name = f"{prefix}dilation_factors"
        if f"{prefix}weight" in state_dict and name not in state_dict:
            state_dict = {**state_dict, name: self.dilation_factors.detach()}
        super()._load_from_state_dict(state_dict, prefix, *args)


def initial_factors(
    initial: Initial, count: int, dilation: float, dilation_range: tuple[float, float]
) -> Float[Tensor, " count"]:
    """The factors that a layer begins with."""
    low, high = dilation_range
    if isinstance(initial, str):
        if initial == "uniform" and math.isfinite(high):
            return torch.empty(count, device="cpu").uniform_(low, high)
        if initial == "constant":
            return torch.full((count,), float(dilation), device="cpu")
        raise InputError(
            f"initial {initial!r} in the range ({low:g}, {high:g}): give 'constant', 'uniform' in a finite range, a "
            "number, or one for each channel"
        )
    factors = torch.as_tensor(initial, device="cpu").detach().double()
    if factors.shape not in ((), (count,)):
        raise InputError(f"initial factors {list(factors.shape)}: give a number, or {count}")
    for factor in (factors.min().item(), factors.max().item()):
        require_range(factor, dilation_range)
    return factors.expand(count).clone()


def _one_dilation(dilation: float | tuple[float, float]) -> float:
    """As ``nn.Conv2d`` takes it, and its own attribute has it."""
    if not isinstance(dilation, Sequence):
        return dilation
    if len(set(dilation)) != 1:
        raise InputError(f"dilation {tuple(dilation)}: height and width share one factor")
    return dilation[0]


def require_range(dilation: float, dilation_range: tuple[float, float]) -> None:
    """Raises InputError unless 1 <= low <= dilation <= high."""
    if len(dilation_range) != 2:
        raise InputError(f"dilation range {tuple(dilation_range)}: give the lowest and the highest factor")
    low, high = dilation_range
    if not 1 <= low <= high:
        raise InputError(f"dilation range ({low:g}, {high:g}): give 1 <= lowest <= highest")
    if not low <= dilation <= high:
        raise InputError(
            f"dilation {dilation:g} lies outside its range ({low:g}, {high:g}): widen the range or begin inside it"
        )
