"""Xception as modified for DeepLab (Chollet, CVPR 2017; Chen et al., ECCV 2018, figure 4)."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.backbone import Backbone, initialise_convolutions, stage_strides
from tessella.networks.convolution import SeparableConv2d

EPS = 1e-3  # of the published weights' batch normalisations

# Channels of the entry flow's blocks and whether they halve the resolution.
ENTRY_FLOW = {
    65: ((128, True), (256, True), (728, True)),
    71: ((128, True), (256, False), (256, True), (728, False), (728, True)),
}
MIDDLE_BLOCKS = 16


class Xception(Backbone):
    """Aligned Xception-65 or 71 without its classifier; see ``Backbone`` for what it returns.

    Parameter names are timm's (``stem.0.conv.weight``, ``blocks.0.stack.conv1.conv_dw.weight``), in which
    DeepLab's own weights are published for PyTorch. The maps at strides 4, 8 and 16 are those before the
    strided convolution of the next block, as DeepLab's decoder takes them. The block that gives up
    its stride keeps the dilation of the blocks before; the blocks after it dilate.

    Args:
        depth: number of layers.
        in_channels: channels of the image.
        output_stride: 8, 16 or 32.
        width: channels after the stem; 64 in the paper, others in proportion.

    Raises:
        InputError: unknown depth or output stride.
    """

    def __init__(
        self, depth: Literal[65, 71] = 65, in_channels: int = 3, output_stride: int = 16, *, width: int = 64
    ) -> None:
        super().__init__()
        if depth not in ENTRY_FLOW:
            raise InputError(f"depth of Xception is {depth}: choose 65 or 71")

        def scale(channels: int) -> int:
            return channels * width // 64

        self.stem = nn.Sequential(
            ConvNorm(in_channels, scale(32), 3, stride=2, relu=True), ConvNorm(scale(32), width, 3, relu=True)
        )
        middle, wide = scale(728), scale(1024)
        blocks = [((scale(out),) * 3, halves) for out, halves in ENTRY_FLOW[depth]]
        blocks += [((middle,) * 3, False)] * MIDDLE_BLOCKS
        blocks += [((middle, wide, wide), True)]

        strides = iter((2, *stage_strides(output_stride)))
        dilation, channels = 1, width
        stage_channels, self.stage_blocks = [], []
        self.blocks = nn.Sequential()
        for index, (out_channels, halves) in enumerate(blocks):
            stride = next(strides) if halves else 1
            shortcut = "projection" if halves or channels != out_channels[-1] else "identity"
            self.blocks.append(XceptionBlock(channels, out_channels, stride, dilation, shortcut))
            if halves and stride == 1:
                dilation *= 2
            if halves and index > 0:
                stage_channels.append(out_channels[1])
                self.stage_blocks.append(index)
            channels = out_channels[-1]
        last = (scale(1536), scale(1536), scale(2048))
        self.blocks.append(XceptionBlock(channels, last, 1, dilation, "none"))
        self.channels = (*stage_channels, last[-1])
        initialise_convolutions(self)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        x = self.stem(image)
        maps = []
        for index, block in enumerate(self.blocks):
            x, before_stride = block(x)
            if index in self.stage_blocks:
                maps.append(before_stride)
        return [*maps, x]


class XceptionBlock(nn.Module):
    """Three separable convolutions, the last one strided, and a shortcut: "identity", "projection" or "none".

    Without shortcut, rectifiers follow the convolutions and their depthwise halves; else they precede the
    convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: tuple[int, int, int],
        stride: int,
        dilation: int,
        shortcut: str,
    ) -> None:
        super().__init__()
        self.residual = shortcut != "none"
        self.shortcut: nn.Module = nn.Identity()
        if shortcut == "projection":
            self.shortcut = ConvNorm(in_channels, out_channels[-1], 1, stride=stride, relu=False)
        self.stack = nn.ModuleDict()
        for index, channels in enumerate(out_channels, start=1):
            self.stack[f"conv{index}"] = SeparableConv2d(
                in_channels,
                channels,
                stride=stride if index == 3 else 1,
                dilation=dilation,
                relu=not self.residual,
                eps=EPS,
            )
            in_channels = channels
        self.relu = nn.ReLU() if self.residual else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and the map before its strided convolution."""
        before_stride = self.stack["conv2"](self.relu(self.stack["conv1"](self.relu(x))))
        out = self.stack["conv3"](self.relu(before_stride))
        return (out + self.shortcut(x) if self.residual else out), before_stride


class ConvNorm(nn.Module):
    """Convolution and batch normalisation, and a rectifier if asked."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, relu: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=EPS)
        self.activation = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.bn(self.conv(x)))
