"""DeepLab-v3+ (Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import PooledBatchNorm2d, SeparableConv2d, conv_norm_relu, resize
from tessella.networks.resnet import ResNet

resnet101 = partial(ResNet, depth=101)


class DeepLabV3Plus(nn.Module):
    """Atrous spatial pyramid pooling, and a decoder that refines it with the map at stride 4.

    The authors resize with aligned corners; here pixel corners are aligned.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone; the paper's are Xception-65 and ResNet-101.
        output_stride: of the backbone.
        rates: dilations of the pyramid at output stride 16; at stride 8 they are doubled, at 32 halved.
        pyramid_channels: channels of each of the pyramid's branches and of their projection.
        low_level_channels: channels to which the map at stride 4 is reduced.
        decoder_channels: channels of the decoder's convolutions.
        dropout: probability to drop a value after the pyramid's projection.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = resnet101,
        output_stride: int = 16,
        rates: tuple[int, ...] = (6, 12, 18),
        pyramid_channels: int = 256,
        low_level_channels: int = 48,
        decoder_channels: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        low, last = self.backbone.channels[0], self.backbone.channels[-1]
        scaled = tuple(rate * 16 // output_stride for rate in rates)
        self.aspp = AtrousPyramid(last, pyramid_channels, scaled, dropout)
        self.decoder = Decoder(low, pyramid_channels, low_level_channels, decoder_channels, num_classes)

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        low, *_, last = self.backbone(image)
        return resize(self.decoder(low, self.aspp(last)), image)


class AtrousPyramid(nn.Module):
    """A 1x1 convolution, separable 3x3 convolutions of several dilations and the image's mean, projected."""

    def __init__(self, in_channels: int, channels: int, rates: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.pointwise = conv_norm_relu(in_channels, channels)
        self.atrous = nn.ModuleList(SeparableConv2d(in_channels, channels, dilation=rate) for rate in rates)
        self.image_mean = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False),
            PooledBatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.project = conv_norm_relu((len(rates) + 2) * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        branches = [self.pointwise(x), *[branch(x) for branch in self.atrous]]
        mean = self.image_mean(x.mean((2, 3), keepdim=True)).expand_as(branches[0])
        return self.dropout(self.project(torch.cat([*branches, mean], dim=1)))


class Decoder(nn.Module):
    """Logits at stride 4 from the map at stride 4 and a coarser one of the context."""

    def __init__(
        self,
        low_level_in: int,
        context_channels: int,
        low_level_channels: int,
        channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.low_level = conv_norm_relu(low_level_in, low_level_channels)
        self.refine = nn.Sequential(
            SeparableConv2d(context_channels + low_level_channels, channels),
            SeparableConv2d(channels, channels),
        )
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, low: Tensor, context: Tensor) -> Tensor:
        low = self.low_level(low)
        return self.classifier(self.refine(torch.cat([resize(context, low), low], dim=1)))
