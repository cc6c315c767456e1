"""PSPNet (Zhao et al., Pyramid scene parsing network, CVPR 2017)."""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import conv_norm_relu, resize
from tessella.networks.pyramid_pooling import PyramidConv2d, PyramidPooling
from tessella.networks.resnet import ResNet

deep_resnet50 = partial(ResNet, depth=50, deep_stem=True)


class PSPNet(nn.Module):
    """Pyramid pooling on a dilated backbone, with an auxiliary head on the third stage.

    The heads' parameter names (``ppm``, ``cls``, ``aux``) are those of the public PyTorch release. The
    authors resize with aligned corners, which fits images of 8k + 1 pixels; here any size does. With one
    image per batch, the level of a single bin normalises by its running statistics in training.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone.
        output_stride: of the backbone.
        bins: rows and columns of the pyramid's grids.
        pyramid_channels: channels of each level.
        head_channels: channels before the classifier.
        auxiliary_channels: channels before the auxiliary classifier; 0 for no auxiliary head.
        dropout: probability to drop a channel before each classifier.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = deep_resnet50,
        output_stride: int = 8,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        pyramid_channels: int = 512,
        head_channels: int = 512,
        auxiliary_channels: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        third, last = self.backbone.channels[-2:]
        self.ppm = PyramidPooling(last, pyramid_channels, bins)
        self.cls = nn.Sequential(
            PyramidConv2d(last, pyramid_channels, len(bins), head_channels),
            nn.BatchNorm2d(head_channels),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
            nn.Conv2d(head_channels, num_classes, 1),
        )
        if auxiliary_channels:
            self.aux = nn.Sequential(
                *conv_norm_relu(third, auxiliary_channels, 3),
                nn.Dropout2d(dropout),
                nn.Conv2d(auxiliary_channels, num_classes, 1),
            )

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        last = self.backbone(image)[-1]
        return resize(self.cls((last, self.ppm(last))), image)

    def forward_with_auxiliary(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and the auxiliary head's logits of the same shape if there is one."""
        *_, third, last = self.backbone(image)
        auxiliary = (resize(self.aux(third), image),) if hasattr(self, "aux") else ()
        return resize(self.cls((last, self.ppm(last))), image), auxiliary
