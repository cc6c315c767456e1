"""Networks from images [B, C, H, W] to logits [B, K, H, W], and the backbones they stand on."""

from tessella.networks.deeplab_v3plus import DeepLabV3Plus
from tessella.networks.mobilenet import MobileNetV2
from tessella.networks.pspnet import PSPNet
from tessella.networks.resnet import ResNet

__all__ = ["DeepLabV3Plus", "MobileNetV2", "PSPNet", "ResNet"]
