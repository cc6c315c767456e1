"""Dense prediction cell (Chen et al., Searching for efficient multi-scale architectures, NeurIPS 2018)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import SeparableConv2d, conv_norm_relu, resize
from tessella.networks.deeplab_v3plus import Decoder
from tessella.networks.xception import Xception

xception71 = partial(Xception, depth=71)

BACKBONE_MAP = -1
# Figure 5 of the paper: input (the backbone's map or an earlier branch) and the 3x3 convolution's dilation.
BEST_CELL = (
    (BACKBONE_MAP, (1, 6)),
    (0, (18, 15)),
    (1, (6, 3)),
    (0, (1, 1)),
    (0, (6, 21)),
)


class DPC(nn.Module):
    """The best dense prediction cell found by the authors, with the decoder of DeepLab-v3+.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone.
        output_stride: of the backbone; the cell's dilations hold at 16, at stride 8 they are doubled.
        cell_channels: channels of each of the cell's branches and of their projection.
        low_level_channels: channels to which the map at stride 4 is reduced.
        decoder_channels: channels of the decoder's convolutions.
        dropout: probability to drop a value of the branches before their projection.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = xception71,
        output_stride: int = 16,
        cell_channels: int = 256,
        low_level_channels: int = 48,
        decoder_channels: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        low, last = self.backbone.channels[0], self.backbone.channels[-1]
        self.cell = DensePredictionCell(last, cell_channels, max(1, 16 // output_stride), dropout)
        self.decoder = Decoder(low, cell_channels, low_level_channels, decoder_channels, num_classes)

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        low, *_, last = self.backbone(image)
        return resize(self.decoder(low, self.cell(last)), image)


class DensePredictionCell(nn.Module):
    """Separable convolutions of unequal dilation on one another's outputs; all outputs, projected."""

    def __init__(self, in_channels: int, channels: int, rate_multiplier: int, dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            SeparableConv2d(
                in_channels if source == BACKBONE_MAP else channels,
                channels,
                dilation=(rows * rate_multiplier, columns * rate_multiplier),
            )
            for source, (rows, columns) in BEST_CELL
        )
        self.dropout = nn.Dropout(dropout)
        self.project = conv_norm_relu(len(BEST_CELL) * channels, channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        outputs: list[Tensor] = []
        for branch, (source, _) in zip(self.branches, BEST_CELL, strict=True):
            outputs.append(branch(x if source == BACKBONE_MAP else outputs[source]))
        return self.project(self.dropout(torch.cat(outputs, dim=1)))
