"""Cascaded refinement (Chen and Koltun, ICCV 2017): the trunk, which runs once for each condition.

What follows differs: ``splits``. All have ``encode``, what a condition costs once, and ``decode``, what each image
costs.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError

Encoded = tuple[Tensor, ...]
"""Of a batch of conditions: tensors whose first dimension is the batch."""


class Stage(nn.Sequential):
    """3x3 convolutions, each with a leaky rectifier; no normalisation, which would take colours away."""

    def __init__(self, *channels: int) -> None:
        super().__init__(*(m for a, b in pairwise(channels) for m in (conv3x3(a, b), nn.LeakyReLU(0.2))))


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Weights such that variance passes (He et al. 2015): PyTorch's own lose two thirds of it at each layer."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=0.2)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def to_colors(in_channels: int, images: int = 1) -> nn.Conv2d:
    """The last layer, which begins around grey."""
    layer = nn.Conv2d(in_channels, 3 * images, 1)
    nn.init.normal_(layer.weight, std=0.1 / math.sqrt(in_channels))
    nn.init.constant_(layer.bias, 0.5)  # type: ignore[arg-type]
    return layer


@dataclass(frozen=True)
class Widths:
    """Channels of a generator's stages; the authors' by default.

    trunk: from coarse to fine; each stage doubles the resolution, the last is at a quarter
    path: of each of the two paths at half the resolution
    last: at full resolution
    """

    trunk: tuple[int, ...] = (1024, 1024, 1024, 512)
    path: int = 128
    last: int = 256


class Refinement(nn.Module, ABC):
    """What the three ways share: conditions [B, C, H, W] to features at a quarter of their height and width.

    Args:
        condition_channels: C.
        branches: images that training chooses among.
        widths: of the stages.
    """

    find_unused_parameters = False
    """Whether a step may leave parameters without a gradient: those of branches that nothing trains in it."""

    def __init__(self, condition_channels: int, *, branches: int = 20, widths: Widths = Widths()) -> None:
        super().__init__()
        if branches < 1:
            raise InputError(f"branches is {branches}: give at least 1")
        if not widths.trunk:
            raise InputError("the widths have no trunk: give the channels of at least one stage")
        if min(condition_channels, *widths.trunk, widths.path, widths.last) < 1:
            raise InputError(
                f"{condition_channels} channels of the condition and widths {widths.trunk}, {widths.path}, "
                f"{widths.last}: give at least 1 of each"
            )
        before = (0, *widths.trunk)
        self.trunk = nn.ModuleList(Stage(a + condition_channels, b, b) for a, b in pairwise(before))
        self.channels = widths.trunk[-1] + condition_channels
        self.condition_channels, self.branches = condition_channels, branches

    def features(self, conditions: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
        """What the stage at half the resolution is given, and the conditions at full resolution."""
        require_conditions(conditions, self.condition_channels)
        x = None
        for depth, stage in enumerate(self.trunk):
            x = stage(joined(x, conditions, 2 ** (len(self.trunk) + 1 - depth)))
        assert x is not None
        return joined(x, conditions, 2), conditions

    @abstractmethod
    def encode(self, conditions: Tensor) -> Encoded:
        """What is the same for all images of a condition."""

    @abstractmethod
    def decode(self, encoded: Encoded, items: Int[Tensor, " images"], codes: Tensor) -> Tensor:
        """Image k is of condition ``items[k]`` and code ``codes[k]``: [K, 3, H, W], about 0 to 1, unbounded."""

    @property
    def training_codes(self) -> Tensor:
        """Of the branches, [branches, ...]: their numbers, where a branch has parameters of its own."""
        return torch.arange(self.branches, device=next(self.parameters()).device)

    def draw(self, number: int, chance: torch.Generator | None = None) -> Tensor:
        """The training codes, then new ones, ``number`` in all.

        Raises InputError for less than one, and where the generator has no more images than branches.
        """
        require_number(number)
        if number > self.branches:
            raise InputError(
                f"{number} codes: {type(self).__name__} makes {self.branches} images of a condition, one by each branch"
            )
        return self.training_codes[:number]

    def require_codes(self, codes: Tensor) -> None:
        """Raises InputError unless codes are [K], each the number of a branch."""
        if codes.dim() != 1 or codes.is_floating_point() or not len(codes):
            raise InputError(
                f"codes are {codes.dtype} of shape {list(codes.shape)}: {type(self).__name__} takes numbers of "
                f"branches, 0 to {self.branches - 1}"
            )
        if codes.is_meta:  # operations are counted on such; they have no values
            return
        if codes.min() < 0 or codes.max() >= self.branches:
            raise InputError(
                f"codes are from {int(codes.min())} to {int(codes.max())}: {type(self).__name__} has the branches 0 to "
                f"{self.branches - 1}"
            )

    def forward(
        self, conditions: Tensor, codes: Tensor, at_once: int = 64
    ) -> Float[Tensor, "batch codes 3 h w"]:
        """An image of each condition for each code; ``at_once`` of them at a time.

        Raises InputError for conditions of other channels, and codes that are none of this generator's.
        """
        encoded = self.encode(conditions)
        images = torch.cat(list(self.stream(encoded, len(conditions), codes, at_once)))
        return images.unflatten(0, (len(conditions), len(codes)))

    def stream(self, encoded: Encoded, number: int, codes: Tensor, at_once: int = 64) -> Iterator[Tensor]:
        """Images [at_once, 3, H, W] of encoded conditions, all codes of the first, then all of the second, ..."""
        self.require_codes(codes)
        items = torch.arange(number, device=encoded[0].device).repeat_interleave(len(codes))
        places = torch.arange(len(codes), device=codes.device).repeat(number)
        for chosen, place in zip(items.split(at_once), places.split(at_once), strict=True):
            yield self.decode(encoded, chosen, codes[place])


def require_number(number: int) -> None:
    """Raises InputError for less than one code."""
    if number < 1:
        raise InputError(f"{number} codes: give at least 1")


def require_conditions(conditions: Tensor, channels: int) -> None:
    """Raises InputError unless they are [B, channels, H, W]."""
    if conditions.dim() != 4 or conditions.shape[1] != channels:
        raise InputError(
            f"conditions have shape {list(conditions.shape)}, the generator takes [B, {channels}, H, W]"
        )


def require_code_shape(codes: Tensor, shape: tuple[int, ...]) -> None:
    """Raises InputError unless they are [K, *shape]."""
    if codes.shape[1:] != shape:
        raise InputError(f"the code has the shape {tuple(codes.shape[1:])}, the generator takes {shape}")


def joined(x: Tensor | None, conditions: Tensor, stride: int) -> Tensor:
    """The condition at 1 / stride of its resolution, beside what came before, which is brought there.

    A condition is reduced by its largest values and its most negative ones: the mean of a heat map with one pixel set
    would be nearly 0 at coarse stages.
    """
    height, width = (math.ceil(side / stride) for side in conditions.shape[-2:])
    if stride > 1:
        highest = F.max_pool2d(conditions.relu(), stride, ceil_mode=True)
        conditions = highest - F.max_pool2d((-conditions).relu(), stride, ceil_mode=True)
    if x is None:
        return conditions
    x = F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return torch.cat([x, conditions.to(x.dtype)], 1)
