"""A convolution with normalisation, a shift by a latent code, and a rectifier."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def group_norm(channels: int) -> nn.GroupNorm:
    """Eight groups, or as many as divide the channels."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


class CodedConv2d(nn.Module):
    """3x3 convolution, group normalisation, a shift of each channel by the code, leaky rectifier.

    Concatenating a code to the input of a convolution, as BicycleGAN does, adds a number to each channel. A
    normalisation that follows takes it away again; so it is added behind it. Groups rather than single channels are
    normalised: the mean of a single channel is what tells a picture of road alone from one of sky alone.

    Args:
        code_channels: length of the code; 0 for none.
        normalise: not in the first layer of a stack.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        code_channels: int = 0,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        self.norm = group_norm(out_channels) if normalise else nn.Identity()
        self.shift = nn.Linear(code_channels, out_channels) if code_channels else None

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        code: Float[Tensor, "batch code *places"] | None = None,
    ) -> Tensor:
        x = self.norm(self.conv(x))
        if self.shift is not None:
            assert code is not None
            x = x + self._shift_of(code, x)
        return F.leaky_relu(x, 0.2)

    def _shift_of(self, code: Tensor, x: Tensor) -> Tensor:
        """Of one code, or of one for each place, brought to the size of ``x``."""
        assert self.shift is not None
        shift = self.shift(code.movedim(1, -1)).movedim(-1, 1).to(x.dtype)
        if code.ndim == 2:
            return shift[:, :, None, None]
        return F.interpolate(shift, x.shape[-2:], mode="bilinear", align_corners=False)
