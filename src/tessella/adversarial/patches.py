"""Discriminators that judge patches, at several scales (Isola et al. 2017; Wang et al., pix2pixHD, 2018)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.adversarial.layers import CodedConv2d


class PatchDiscriminator(nn.Module):
    """[B, C, H, W] to a score for each of its patches, at each scale: one map for the input, one for half of it, ...

    Args:
        in_channels: of what is judged, its condition included.
        widths: channels of the layers.
        scales: how many.
        strided: so many of the layers, from the first on, halve the resolution.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, ...] = (128, 256), scales: int = 2, strided: int = 1
    ) -> None:
        super().__init__()
        channels = (in_channels, *widths)

        def stack() -> nn.Sequential:
            layers = [
                CodedConv2d(before, after, stride=2 if depth < strided else 1, normalise=depth > 0)
                for depth, (before, after) in enumerate(zip(channels, widths, strict=False))
            ]
            return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

        self.scales = nn.ModuleList(stack() for _ in range(scales))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        scores = []
        for number, scale in enumerate(self.scales):
            if number:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            scores.append(scale(x))
        return scores
