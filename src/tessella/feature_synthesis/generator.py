"""DFGAN: features from layouts, and who judges them (thesis, section 6.2.1, figure 6.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.adversarial import PatchDiscriminator, UNet
from tessella.adversarial.layers import group_norm
from tessella.precision import full_precision


class AtrousReduction(nn.Module):
    """Three 3x3 convolutions of dilation 1, 2 and 4 side by side, at every second row and column of their output.

    The convolutions see the layout at full resolution; those outputs that the stride would throw away are not computed.

    Args:
        in_channels: of the layout, or of the block before.
        width: channels of each of the three.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, width, 3, stride=2, padding=rate, dilation=rate) for rate in (1, 2, 4)
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch out h w"]:
        return F.leaky_relu(torch.cat([branch(x) for branch in self.branches], 1), 0.2)


class LayoutEncoder(nn.Sequential):
    """Blocks of atrous reduction, each of which halves the resolution and doubles the channels.

    Without any it is the baseline of table 6.2: the layout itself, resized to the features.
    """

    def __init__(self, layout_channels: int, blocks: int, width: int) -> None:
        widths = [width * 2**block for block in range(blocks)]
        channels = [layout_channels, *(3 * each for each in widths)]
        super().__init__(*(AtrousReduction(c, w) for c, w in zip(channels, widths, strict=False)))
        self.channels = channels[-1]


class _OfLayouts(nn.Module):
    """What sees a feature beside its layout."""

    layout: LayoutEncoder

    def encode_condition(self, layouts: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """The layout as it is seen; at the features' height and width where they are not the layout's own, halved."""
        return resized(self.layout(layouts), size)


class FeatureGenerator(_OfLayouts):
    """Layouts [B, K + 1, H, W] and codes to features [B, C, h, w] as the network itself would make them.

    Features have no bounds before a rectifier, and channels of every scale. ``mean`` and ``std`` [C] of each channel
    are measured once; within, all are standardised, or the weight of the L1 loss would mean nothing. No feature is
    below ``lowest``: 0, where they are made behind a rectifier.

    Args:
        layout_channels: K + 1.
        channels: C.
        blocks: of atrous reduction, one for each factor of two between layout and feature; 0 for the baseline.
        reduction_width: of the first of them; they double.
        widths: of the U-Net.
        code_channels: Z.
        code_stride: 0 for one code [B, Z] of a feature; s for one at every s-th place, [B, Z, h / s, w / s] rounded up.
        modulate: the layout also scales and shifts, at each place, what leaves the U-Net, before a last convolution
            (SPADE, Park et al. 2019).
    """

    mean: Tensor
    std: Tensor
    lowest: Tensor

    def __init__(
        self,
        layout_channels: int,
        channels: int,
        *,
        blocks: int = 3,
        reduction_width: int = 16,
        widths: tuple[int, ...] = (128, 192, 256),
        code_channels: int = 8,
        code_stride: int = 0,
        modulate: bool = False,
    ) -> None:
        super().__init__()
        self.code_channels, self.code_stride = code_channels, code_stride
        self.layout = LayoutEncoder(layout_channels, blocks, reduction_width)
        self.unet = UNet(self.layout.channels, widths[0] if modulate else channels, widths, code_channels)
        self.modulation = Modulation(self.layout.channels, widths[0], channels) if modulate else None
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        # Finite, or averages of weights over steps would make it nan.
        self.register_buffer("lowest", torch.tensor(torch.finfo(torch.float32).min))

    def standardise(self, features: Float[Tensor, "batch channels h w"]) -> Tensor:
        """To mean 0 and deviation 1 in each channel."""
        return (features - self.mean[:, None, None]) / self.std[:, None, None]

    def draw(self, number: int, size: tuple[int, int], chance: torch.Generator | None = None) -> Tensor:
        """Standard normal codes of so many features of that height and width."""
        places = [-(-side // self.code_stride) for side in size] if self.code_stride else []
        return torch.randn(number, self.code_channels, *places, generator=chance)

    def from_encoded(self, encoded: Tensor, codes: Float[Tensor, "batch code *places"]) -> Tensor:
        """Standardised features of encoded layouts."""
        features: Tensor = self.unet(encoded, codes)
        return features if self.modulation is None else self.modulation(features, encoded)

    def forward(
        self,
        layouts: Float[Tensor, "batch layout height width"],
        codes: Float[Tensor, "batch code *places"],
        size: tuple[int, int] | None = None,
    ) -> Float[Tensor, "batch channels h w"]:
        features = full_precision(self.from_encoded(self.encode_condition(layouts, size), codes))
        return (features * self.std[:, None, None] + self.mean[:, None, None]).maximum(self.lowest)


class Modulation(nn.Module):
    """Spatially adaptive normalisation: normalised features, scaled and shifted at each place by the layout there."""

    def __init__(self, layout_channels: int, width: int, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.scale_and_shift = nn.Conv2d(layout_channels, 2 * width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor, encoded: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(encoded).chunk(2, 1)
        result: Tensor = self.last(F.leaky_relu(self.norm(x) * (1 + scale) + shift, 0.2))
        return result


class FeatureDiscriminator(_OfLayouts):
    """Whether layout and standardised feature belong together: a score for each patch, at two scales.

    Args:
        layout_channels: K + 1.
        channels: of the feature.
        blocks, reduction_width: of the layout's own atrous reduction.
        widths, strided: see ``PatchDiscriminator``.
    """

    def __init__(
        self,
        layout_channels: int,
        channels: int,
        *,
        blocks: int = 3,
        reduction_width: int = 8,
        widths: tuple[int, ...] = (128, 256),
        strided: int = 1,
    ) -> None:
        super().__init__()
        self.layout = LayoutEncoder(layout_channels, blocks, reduction_width)
        self.patches = PatchDiscriminator(self.layout.channels + channels, widths, strided=strided)

    def forward(self, encoded: Tensor, features: Tensor) -> list[Tensor]:
        """encoded: by ``encode_condition``, so that one serves several features."""
        scores: list[Tensor] = self.patches(torch.cat([encoded, features], 1))
        return scores


def resized(maps: Tensor, size: tuple[int, int] | None) -> Tensor:
    """Bilinear, or for what is smaller by area, to ``size``; as it is where it has that size already."""
    if size is None or maps.shape[-2:] == size:
        return maps
    if maps.shape[-2] >= size[0] and maps.shape[-1] >= size[1]:
        return F.interpolate(maps, size, mode="area")
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
