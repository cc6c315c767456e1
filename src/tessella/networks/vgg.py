"""VGG-16 and VGG-19 backbones (Simonyan & Zisserman, ICLR 2015), with two of their dense layers if asked."""

from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.networks.backbone import ChainBackbone, initialise_convolutions, stage_strides


class VGG16(ChainBackbone):
    """VGG-16 without normalisation; see ``Backbone`` for what it returns: its maps are pool2 to pool5.

    With ``fc_channels``, the dense layers fc6 and fc7 follow as convolutions and the last map is fc7's.
    Parameter names are torchvision's: ``features.0.weight``, ..., and ``classifier.0`` and ``classifier.3``
    for fc6 and fc7, whose dense weights ``load_weights`` reshapes. A pooling that gives up its stride for the
    output stride becomes 3x3.

    Args:
        in_channels: channels of the image.
        output_stride: 8, 16 or 32.
        pool_size: 2 as published, or 3 with padding (DeepLab-LargeFOV).
        fc_channels: channels of fc6 and fc7, 4096 as published; 0 leaves them out.
        fc_kernel_size: of fc6; 7 as published.
        fc_dilation: of fc6.
        dropout: probability to drop a value after fc6 and after fc7.
        width: channels of the first stage; 64 in the paper.

    Raises:
        InputError: the pooling size is not 2 or 3, or the output stride is unknown.
    """

    convolutions: ClassVar[tuple[int, ...]] = (2, 2, 3, 3, 3)
    """Of each stage."""

    def __init__(
        self,
        in_channels: int = 3,
        output_stride: int = 32,
        *,
        pool_size: int = 2,
        fc_channels: int = 0,
        fc_kernel_size: int = 7,
        fc_dilation: int = 1,
        dropout: float = 0.5,
        width: int = 64,
    ) -> None:
        super().__init__()
        if pool_size not in (2, 3):
            raise InputError(f"pool_size of VGG16 is {pool_size}: choose 2 or 3")
        layers: list[nn.Module] = []
        stage_channels, self.stage_ends = [], []
        channels, dilation = in_channels, 1
        strides = (2, 2, *stage_strides(output_stride))
        for stage, (num_convolutions, stride) in enumerate(zip(self.convolutions, strides, strict=True)):
            stage_width = width * min(2**stage, 8)
            for _ in range(num_convolutions):
                layers.append(nn.Conv2d(channels, stage_width, 3, padding=dilation, dilation=dilation))
                layers.append(nn.ReLU(inplace=True))
                channels = stage_width
            layers.append(max_pool(pool_size, stride))
            if stride == 1:
                dilation *= 2
            stage_channels.append(channels)
            self.stage_ends.append(len(layers))
        del self.stage_ends[0]  # of stride 2, which is no map
        self.features = nn.Sequential(*layers)
        self.classifier: nn.Sequential | None = None
        if fc_channels:
            padding = fc_dilation * (fc_kernel_size // 2)
            self.classifier = nn.Sequential(
                nn.Conv2d(channels, fc_channels, fc_kernel_size, padding=padding, dilation=fc_dilation),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Conv2d(fc_channels, fc_channels, 1),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
            )
            stage_channels[-1] = fc_channels
        self.channels = tuple(stage_channels[1:])
        initialise_convolutions(self)

    def stages(self) -> list[list[nn.Module]]:
        layers = list(self.features)
        stages = [layers[start:end] for start, end in pairwise([0, *self.stage_ends])]
        if self.classifier is not None:
            stages[-1] = [*stages[-1], self.classifier]
        return stages


class VGG19(VGG16):
    """VGG-19, in all else as ``VGG16``."""

    convolutions = (2, 2, 4, 4, 4)


def max_pool(size: int, stride: int) -> nn.Module:
    """Pooling whose maps are rounded up in size."""
    if stride == 2 and size == 2:
        return CeilMaxPool2d()
    return nn.MaxPool2d(3, stride=stride, padding=1)


class CeilMaxPool2d(nn.Module):
    """2x2 max pooling of rectified maps that keeps an odd last row and column.

    As ``ceil_mode`` does, whose sizes the exporter cannot reason about: a row and a column of zeros are
    appended, which count only where the size is odd and never exceed a rectified value.
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2)
