"""UPerNet (Xiao et al., Unified perceptual parsing for scene understanding, ECCV 2018)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import conv_norm_relu, resize
from tessella.networks.pyramid_pooling import PyramidConv2d, PyramidPooling
from tessella.networks.resnet import ResNet

resnet50 = partial(ResNet, depth=50)


class UPerNet(nn.Module):
    """Pyramid pooling on the last map, a feature pyramid over all four, and a head on their concatenation.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone.
        output_stride: of the backbone.
        bins: rows and columns of the pooling pyramid's grids.
        channels: channels of the feature pyramid and of the levels of pooling.
        auxiliary_channels: channels before the auxiliary classifier on the third stage.
        dropout: probability to drop a channel before each classifier.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = resnet50,
        output_stride: int = 32,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        channels: int = 512,
        auxiliary_channels: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        *finer, last = self.backbone.channels
        self.ppm = PyramidPooling(last, channels, bins)
        self.context = nn.Sequential(
            PyramidConv2d(last, channels, len(bins), channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.lateral = nn.ModuleList(conv_norm_relu(stage, channels) for stage in finer)
        self.smooth = nn.ModuleList(conv_norm_relu(channels, channels, 3) for _ in finer)
        self.head = nn.Sequential(
            *conv_norm_relu(channels * len(self.backbone.channels), channels, 3),
            nn.Dropout2d(dropout),
            nn.Conv2d(channels, num_classes, 1),
        )
        self.aux = nn.Sequential(
            *conv_norm_relu(finer[-1], auxiliary_channels, 3),
            nn.Dropout2d(dropout),
            nn.Conv2d(auxiliary_channels, num_classes, 1),
        )

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        return resize(self._logits(self.backbone(image)), image)

    def forward_with_auxiliary(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and the auxiliary head's logits of the same shape."""
        maps = self.backbone(image)
        return resize(self._logits(maps), image), (resize(self.aux(maps[-2]), image),)

    def _logits(self, maps: list[Tensor]) -> Tensor:
        """Logits at stride 4."""
        *finer, last = maps
        pyramid = [self.context((last, self.ppm(last)))]
        for stage, lateral in zip(reversed(finer), reversed(self.lateral), strict=True):
            stage = lateral(stage)
            pyramid.insert(0, stage + resize(pyramid[0], stage))
        finest, *coarser = [
            *(smooth(level) for level, smooth in zip(pyramid, self.smooth, strict=False)),
            pyramid[-1],
        ]
        return self.head(torch.cat([finest, *[resize(level, finest) for level in coarser]], dim=1))
