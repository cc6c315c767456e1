"""From an image, or a feature, to the distribution of the latent code behind it."""

from jaxtyping import Float
from torch import Tensor, nn

from tessella.adversarial.layers import CodedConv2d, full_precision


class CodeEncoder(nn.Module):
    """[B, C, H, W] to mean and logarithm of the variance of its code, [B, Z] each, by a mean over all places.

    Args:
        in_channels: C.
        code_channels: Z.
        widths: channels of the layers, each of which halves the resolution.
    """

    def __init__(self, in_channels: int, code_channels: int, widths: tuple[int, ...] = (128, 256)) -> None:
        super().__init__()
        channels = (in_channels, *widths)
        self.layers = nn.Sequential(
            *(
                CodedConv2d(before, after, stride=2, normalise=depth > 0)
                for depth, (before, after) in enumerate(zip(channels, widths, strict=False))
            )
        )
        self.head = nn.Linear(widths[-1], 2 * code_channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
        mean, log_variance = full_precision(self.head(self.layers(x).mean((2, 3)))).chunk(2, 1)
        return mean, log_variance
