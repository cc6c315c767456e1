"""U-Net (Ronneberger et al. 2015) that takes a latent code at each layer (Zhu et al., BicycleGAN, NeurIPS 2017)."""

from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.adversarial.layers import CodedConv2d


class UNet(nn.Module):
    """[B, in, H, W] and a code [B, Z], or codes of places [B, Z, h, w], to [B, out, H, W], of any height and width.

    Args:
        in_channels: of the input.
        out_channels: of the output, which is unbounded.
        widths: channels at the input's resolution, at half of it, at a quarter, ...
        code_channels: length Z of the code.
    """

    def __init__(
        self, in_channels: int, out_channels: int, widths: tuple[int, ...], code_channels: int = 0
    ) -> None:
        super().__init__()

        layer = partial(CodedConv2d, code_channels=code_channels)
        pairs = list(pairwise(widths))
        self.first = layer(in_channels, widths[0], normalise=False)
        self.down = nn.ModuleList(layer(before, after, stride=2) for before, after in pairs)
        self.up = nn.ModuleList(layer(below + here, here) for here, below in reversed(pairs))
        self.last = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        code: Float[Tensor, "batch code *places"] | None = None,
    ) -> Float[Tensor, "batch out height width"]:
        x = self.first(x, code)
        skips = []
        for layer in self.down:
            skips.append(x)
            x = layer(x, code)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
            x = layer(torch.cat([x, skip], 1), code)
        return self.last(x)
