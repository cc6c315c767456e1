"""Convolutions with normalisation, as the heads of several networks use them."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, dilation: int = 1
) -> nn.Sequential:
    """Convolution that keeps height and width, batch normalisation, rectifier."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def linear_classifier(
    in_channels: int, num_classes: int, kernel_size: int = 1, *, dilation: int = 1
) -> nn.Conv2d:
    """Convolution that keeps height and width, with the small random start of DeepLab's first versions."""
    padding = dilation * (kernel_size // 2)
    layer = nn.Conv2d(in_channels, num_classes, kernel_size, padding=padding, dilation=dilation)
    nn.init.normal_(layer.weight, std=0.01)
    return layer


class SeparableConv2d(nn.Module):
    """Depthwise 3x3 convolution and pointwise convolution, each with batch normalisation.

    Args:
        dilation: of the depthwise convolution; (vertical, horizontal) or one number for both.
        relu: whether a rectifier follows each normalisation.
        eps: of the normalisations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int | tuple[int, int] = 1,
        relu: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(
            in_channels,
            in_channels,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.bn_dw = nn.BatchNorm2d(in_channels, eps=eps)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn_pw = nn.BatchNorm2d(out_channels, eps=eps)
        self.activation = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        x = self.activation(self.bn_dw(self.conv_dw(x)))
        return self.activation(self.bn_pw(self.conv_pw(x)))


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation for maps pooled to as little as 1x1.

    In training with one image, such a map has one value per channel, whose variance is undefined: then the
    running statistics normalise, as in evaluation, and stay as they are.
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)


def resize(maps: Float[Tensor, "batch channels h w"], size_of: Tensor) -> Tensor:
    """Bilinear resize to the height and width of ``size_of``; corners of pixels, not centres, are aligned."""
    return F.interpolate(maps, size=size_of.shape[-2:], mode="bilinear", align_corners=False)
