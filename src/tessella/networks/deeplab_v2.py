"""DeepLab-v2 (Chen et al., DeepLab: atrous convolution and fully connected CRFs, PAMI 2018)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.networks.backbone import BackboneBuilder
from tessella.networks.convolution import linear_classifier, resize
from tessella.networks.resnet import ResNet

caffe_resnet101 = partial(ResNet, depth=101, stride_in_1x1=True)


class DeepLabV2(nn.Module):
    """A dilated ResNet and the sum of four classifiers of different dilation (ASPP-L).

    The authors resize with aligned corners, which fits images of 8k + 1 pixels.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone.
        output_stride: of the backbone.
        rates: dilations of the classifiers.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = caffe_resnet101,
        output_stride: int = 8,
        rates: tuple[int, ...] = (6, 12, 18, 24),
    ) -> None:
        super().__init__()
        self.backbone = backbone(in_channels=in_channels, output_stride=output_stride)
        last = self.backbone.channels[-1]
        self.aspp = nn.ModuleList(linear_classifier(last, num_classes, 3, dilation=rate) for rate in rates)

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        last = self.backbone(image)[-1]
        return resize(torch.stack([classifier(last) for classifier in self.aspp]).sum(0), image)
