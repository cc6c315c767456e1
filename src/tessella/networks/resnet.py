"""ResNet backbones (He et al., Deep residual learning for image recognition, CVPR 2016)."""

from typing import Literal

from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.backbone import ChainBackbone, initialise_convolutions, stage_strides

BLOCKS_PER_STAGE = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}


class ResNet(ChainBackbone):
    """ResNet-10, 18, 34, 50 or 101 without its classifier; see ``Backbone`` for what it returns.

    Parameter names are torchvision's. With ``deep_stem``, three 3x3 convolutions (64, 64, 128 channels) stand
    for the first 7x7 one, named ``conv1``, ``bn1``, ``conv2``, ... as in PSPNet's public PyTorch release.
    In a dilated stage every block has the same dilation, the first one too.

    Args:
        depth: number of layers.
        in_channels: channels of the image.
        output_stride: 8, 16 or 32.
        deep_stem: three 3x3 convolutions instead of one 7x7.
        stride_in_1x1: bottlenecks put their stride in the first 1x1 convolution (Caffe weights, DeepLab-v2)
            instead of the 3x3 one (torchvision).
        width: channels of the first stage's 3x3 convolutions; 64 in the paper.

    Raises:
        InputError: unknown depth or output stride.
    """

    def __init__(
        self,
        depth: Literal[10, 18, 34, 50, 101] = 50,
        in_channels: int = 3,
        output_stride: int = 32,
        *,
        deep_stem: bool = False,
        stride_in_1x1: bool = False,
        width: int = 64,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS_PER_STAGE:
            raise InputError(
                f"depth of ResNet is {depth}: choose one of {', '.join(map(str, BLOCKS_PER_STAGE))}"
            )
        self.deep_stem = deep_stem
        self.relu = nn.ReLU(inplace=True)
        if deep_stem:
            self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
            self.bn3 = nn.BatchNorm2d(2 * width)
        else:
            self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

        channels = 2 * width if deep_stem else width
        dilation = 1
        stages = []
        for stage, (num_blocks, stride) in enumerate(
            zip(BLOCKS_PER_STAGE[depth], (1, *stage_strides(output_stride)), strict=True)
        ):
            if stage > 0 and stride == 1:
                dilation *= 2
            blocks: list[nn.Module] = []
            for index in range(num_blocks):
                block_stride = stride if index == 0 else 1
                block_width = width * 2**stage
                if depth < 50:
                    block: BasicBlock | Bottleneck = BasicBlock(channels, block_width, block_stride, dilation)
                else:
                    block = Bottleneck(channels, block_width, block_stride, dilation, stride_in_1x1)
                channels = block_width * block.expansion
                blocks.append(block)
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        expansion = channels // (8 * width)
        self.channels = tuple(width * expansion * 2**stage for stage in range(4))
        initialise_convolutions(self)

    def stages(self) -> list[list[nn.Module]]:
        stem: list[nn.Module] = [self.conv1, self.bn1, self.relu]
        if self.deep_stem:
            stem += [self.conv2, self.bn2, self.relu, self.conv3, self.bn3, self.relu]
        return [[*stem, self.maxpool, self.layer1], [self.layer2], [self.layer3], [self.layer4]]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut."""

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, stride: int, dilation: int, stride_in_1x1: bool = False
    ) -> None:
        super().__init__()
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride_1x1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(
            width, width, 3, stride=stride_3x3, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x + shortcut)


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """1x1 shortcut where a block changes the shape of its input, else None."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )
