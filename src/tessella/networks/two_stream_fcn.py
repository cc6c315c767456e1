"""Two-stream FCN-16s on colour and depth (Shelhamer, Long & Darrell, PAMI 2017, section 5.2)."""

from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.backbone import BackboneBuilder
from tessella.networks.fcn import BilinearUpsampling, fully_convolutional_vgg16

COLOUR_CHANNELS = 3


class TwoStreamFCN(nn.Module):
    """One FCN-16s stream for colour and one for depth encoded as HHA, fused late.

    The streams' coarse scores are averaged and upsampled by 2, the scores of both streams' maps at stride 16
    are added, and the sum is upsampled by 16. ``backbone`` holds the two streams' backbones, ``colour`` and
    ``depth``.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image: three of colour, then those of depth.
        backbone: builds the backbone of each stream.

    Raises:
        InputError: no channel is left for depth.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 6,
        *,
        backbone: BackboneBuilder = fully_convolutional_vgg16,
    ) -> None:
        super().__init__()
        if in_channels <= COLOUR_CHANNELS:
            raise InputError(
                f"in_channels of TwoStreamFCN is {in_channels}: give 3 channels of colour and those of depth"
            )
        colour = backbone(in_channels=COLOUR_CHANNELS, output_stride=32)
        depth = backbone(in_channels=in_channels - COLOUR_CHANNELS, output_stride=32)
        *_, sixteenth, last = colour.channels
        self.backbone = nn.ModuleDict({"colour": colour, "depth": depth})
        self.score_fr = nn.ModuleDict({stream: nn.Conv2d(last, num_classes, 1) for stream in self.backbone})
        self.score_pool4 = nn.ModuleDict(
            {stream: nn.Conv2d(sixteenth, num_classes, 1) for stream in self.backbone}
        )
        self.upscore2 = BilinearUpsampling(num_classes, 2)
        self.upscore16 = BilinearUpsampling(num_classes, 16)

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        inputs = {"colour": image[:, :COLOUR_CHANNELS], "depth": image[:, COLOUR_CHANNELS:]}
        scores, skips = [], []
        for stream, backbone in self.backbone.items():
            *_, sixteenth, last = backbone(inputs[stream])
            scores.append(self.score_fr[stream](last))
            skips.append(self.score_pool4[stream](sixteenth))
        skip = skips[0] + skips[1]
        score = self.upscore2((scores[0] + scores[1]) / 2, size_of=skip) + skip
        return self.upscore16(score, size_of=image)
