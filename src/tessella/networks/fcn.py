"""FCN (Shelhamer, Long & Darrell, Fully convolutional networks for semantic segmentation, PAMI 2017)."""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.backbone import BackboneBuilder
from tessella.networks.vgg import VGG16

fully_convolutional_vgg16 = partial(VGG16, fc_channels=4096)


class FCN(nn.Module):
    """FCN-32s, 16s or 8s: class scores of the last map, fused with those of finer ones while upsampling.

    The names of score and upsampling layers are the published ones (``score_fr``, ``upscore2``, ...). The
    authors pad the image by 100 pixels and crop; here fc6 is padded instead, so that all maps align.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        backbone: builds the backbone, whose maps at strides 32, 16 and 8 are scored.
        stride: 32, 16 or 8, the stride at which the scores are upsampled to the image.

    Raises:
        InputError: another stride.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        backbone: BackboneBuilder = fully_convolutional_vgg16,
        stride: Literal[32, 16, 8] = 8,
    ) -> None:
        super().__init__()
        if stride not in (32, 16, 8):
            raise InputError(f"stride of FCN is {stride}: choose 32, 16 or 8")
        self.stride = stride
        self.backbone = backbone(in_channels=in_channels, output_stride=32)
        _, eighth, sixteenth, last = self.backbone.channels
        self.score_fr = nn.Conv2d(last, num_classes, 1)
        if stride <= 16:
            self.upscore2 = BilinearUpsampling(num_classes, 2)
            self.score_pool4 = nn.Conv2d(sixteenth, num_classes, 1)
        if stride == 8:
            self.upscore_pool4 = BilinearUpsampling(num_classes, 2)
            self.score_pool3 = nn.Conv2d(eighth, num_classes, 1)
        # Named by its factor as in the published networks: upscore32, upscore16 or upscore8.
        self.add_module(f"upscore{stride}", BilinearUpsampling(num_classes, stride))

    def forward(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        _, eighth, sixteenth, last = self.backbone(image)
        score = self.score_fr(last)
        if self.stride <= 16:
            skip = self.score_pool4(sixteenth)
            score = self.upscore2(score, size_of=skip) + skip
        if self.stride == 8:
            skip = self.score_pool3(eighth)
            score = self.upscore_pool4(score, size_of=skip) + skip
        return self.get_submodule(f"upscore{self.stride}")(score, size_of=image)


class BilinearUpsampling(nn.ConvTranspose2d):
    """Learned upsampling by an even factor that starts as bilinear interpolation of every class by itself."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(channels, channels, 2 * factor, stride=factor, padding=factor // 2, bias=False)
        position = torch.arange(2 * factor)
        hat = 1 - (position - (factor - 0.5)).abs() / factor
        with torch.no_grad():
            self.weight.copy_(torch.eye(channels)[:, :, None, None] * hat[:, None] * hat)

    def forward(self, score: Tensor, size_of: Tensor) -> Tensor:  # type: ignore[override]
        """``score`` upsampled, without the rows and columns beyond those of ``size_of``."""
        upsampled = super().forward(score)
        height, width = size_of.shape[-2:]
        if torch.compiler.is_compiling():
            # A slice would ask the exporter to prove that it lies within the map, which it cannot.
            rows, columns = (torch.arange(length, device=score.device) for length in (height, width))
            return upsampled.index_select(-2, rows).index_select(-1, columns)
        return upsampled[..., :height, :width]
