"""Networks from images [B, C, H, W] to logits [B, K, H, W], and the backbones they stand on."""

from tessella.networks.deeplab_largefov import DeepLabLargeFOV
from tessella.networks.deeplab_v2 import DeepLabV2
from tessella.networks.deeplab_v3plus import DeepLabV3Plus
from tessella.networks.dpc import DPC
from tessella.networks.fcn import FCN
from tessella.networks.mobilenet import MobileNetV2
from tessella.networks.pspnet import PSPNet
from tessella.networks.resnet import ResNet
from tessella.networks.two_stream_fcn import TwoStreamFCN
from tessella.networks.upernet import UPerNet
from tessella.networks.vgg import VGG16, VGG19
from tessella.networks.xception import Xception

__all__ = [
    "DPC",
    "FCN",
    "VGG16",
    "VGG19",
    "DeepLabLargeFOV",
    "DeepLabV2",
    "DeepLabV3Plus",
    "MobileNetV2",
    "PSPNet",
    "ResNet",
    "TwoStreamFCN",
    "UPerNet",
    "Xception",
]
