"""DeepLab-LargeFOV (Chen et al., Semantic image segmentation with deep convolutional nets, ICLR 2015)."""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import linear_classifier, resize
from tessella.networks.vgg import VGG16

large_fov_vgg16 = partial(VGG16, pool_size=3, fc_channels=1024, fc_kernel_size=3, fc_dilation=12)


class DeepLabLargeFOV(nn.Module):
    """A dilated VGG-16 whose fc6 is a 3x3 convolution of dilation 12, and a linear classifier.

    All of the VGG is the backbone, fc6 and fc7 included: only the classifier ``fc8`` learns ten times faster
    in the paper. The authors resize with aligned corners, which fits images of 8k + 1 pixels.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone.
        output_stride: of the backbone.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = large_fov_vgg16,
        output_stride: int = 8,
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        self.fc8 = linear_classifier(self.backbone.channels[-1], num_classes)

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        return resize(self.fc8(self.backbone(image)[-1]), image)
