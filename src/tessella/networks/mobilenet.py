"""MobileNetV2 backbone (Sandler et al., Inverted residuals and linear bottlenecks, CVPR 2018)."""

from itertools import pairwise

from torch import Tensor, nn

from tessella.networks.backbone import ChainBackbone, initialise_convolutions, stage_strides

# Table 2 of the paper, grouped by stage: (expansion, channels, blocks, stride 2 in the first block).
LAYOUT = (
    ((1, 16, 1, False), (6, 24, 2, True)),
    ((6, 32, 3, True),),
    ((6, 64, 4, True), (6, 96, 3, False)),
    ((6, 160, 3, True), (6, 320, 1, False)),
)


class MobileNetV2(ChainBackbone):
    """MobileNetV2 up to its 320 channels, without the classifier; see ``Backbone`` for what it returns.

    Parameter names are torchvision's. As in DeepLab, the block that gives up its stride keeps the dilation
    of the stage before; the blocks after it dilate.

    Args:
        in_channels: channels of the image.
        output_stride: 8, 16 or 32.
        width_multiplier: factor of all channel numbers, which are then rounded to multiples of 8.

    Raises:
        InputError: unknown output stride.
    """

    def __init__(
        self, in_channels: int = 3, output_stride: int = 32, *, width_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        channels = round_channels(32 * width_multiplier)
        layers: list[nn.Module] = [conv_norm_relu6(in_channels, channels, 3, stride=2)]
        dilation = 1
        stage_channels, self.stage_ends = [], []
        for stage, stride in zip(LAYOUT, (2, *stage_strides(output_stride)), strict=True):
            for expansion, base_channels, num_blocks, strided in stage:
                out_channels = round_channels(base_channels * width_multiplier)
                for index in range(num_blocks):
                    first = strided and index == 0
                    layers.append(
                        InvertedResidual(
                            channels,
                            out_channels,
                            expansion,
                            stride=stride if first else 1,
                            dilation=dilation,
                            shortcut=not first and channels == out_channels,
                        )
                    )
                    if first and stride == 1:
                        dilation *= 2
                    channels = out_channels
            stage_channels.append(channels)
            self.stage_ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        self.channels = tuple(stage_channels)
        initialise_convolutions(self)

    def stages(self) -> list[list[nn.Module]]:
        layers = list(self.features)
        return [layers[start:end] for start, end in pairwise([0, *self.stage_ends])]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise and linear 1x1 convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        *,
        stride: int,
        dilation: int,
        shortcut: bool,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = shortcut
        expand = [conv_norm_relu6(in_channels, hidden, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            conv_norm_relu6(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


def conv_norm_relu6(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


def round_channels(channels: float) -> int:
    """Nearest multiple of 8, at least 8, and never more than 10% below ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
