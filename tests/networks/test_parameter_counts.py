"""Numbers of parameters against published ones; networks are built on the meta device, without memory."""

from functools import partial

import pytest
import torch
from torch import nn

from tessella.networks import (
    DPC,
    FCN,
    VGG16,
    VGG19,
    DeepLabLargeFOV,
    DeepLabV2,
    DeepLabV3Plus,
    MobileNetV2,
    PSPNet,
    ResNet,
    UPerNet,
    Xception,
)


@pytest.fixture(autouse=True)
def _without_memory():
    with torch.device("meta"):
        yield


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def dense(in_channels: int, out_channels: int = 1000) -> int:
    return in_channels * out_channels + out_channels


@pytest.mark.parametrize(
    ("backbone", "classifier", "published"),
    [
        # torchvision's model documentation ("num_params")
        (partial(ResNet, 18), dense(512), 11_689_512),
        (partial(ResNet, 34), dense(512), 21_797_672),
        (partial(ResNet, 50), dense(2048), 25_557_032),
        (partial(ResNet, 101), dense(2048), 44_549_160),
        (VGG19, dense(25_088, 4096) + dense(4096, 4096) + dense(4096), 143_667_240),
        (VGG16, dense(25_088, 4096) + dense(4096, 4096) + dense(4096), 138_357_544),
        (partial(VGG16, fc_channels=4096), dense(4096), 138_357_544),
        (MobileNetV2, 320 * 1280 + 2 * 1280 + dense(1280), 3_504_872),
    ],
)
def test_backbone_and_classifier(backbone, classifier: int, published: int):
    assert count(backbone()) + classifier == published


@pytest.mark.parametrize(("depth", "published"), [(65, 39.92), (71, 42.34)])
def test_xception(depth: int, published: float):
    """Millions in the results tables of timm."""
    assert round((count(Xception(depth)) + dense(2048)) / 1e6, 2) == published


def test_output_stride_changes_no_parameter():
    for backbone in (partial(ResNet, 18), VGG16, partial(Xception, 71), MobileNetV2):
        assert len({count(backbone(output_stride=stride)) for stride in (8, 16, 32)}) == 1


def test_deep_stem():
    """Three convolutions for one, and 128 channels into the first block (public PSPNet)."""
    plain = 7 * 7 * 3 * 64 + 2 * 64 + 64 * (64 + 256)
    deep = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128) + 128 * (64 + 256)
    assert count(ResNet(101, deep_stem=True)) - count(ResNet(101)) == deep - plain


def test_deeplab_v3plus_on_xception_65():
    """The Keras port, which runs on the authors' weights, reports 41,258,213 with running statistics."""
    network = DeepLabV3Plus(21, backbone=partial(Xception, depth=65))
    statistics = sum(b.numel() for n, b in network.named_buffers() if "running" in n)
    assert count(network) + statistics == 41_258_213


@pytest.mark.parametrize(
    ("network", "millions"),
    [
        # Xie et al., SegFormer (NeurIPS 2021), table 2, ADE20K; their deep stem has 19k parameters more.
        (partial(PSPNet, backbone=partial(ResNet, 101)), 68.1),
        (partial(PSPNet, backbone=MobileNetV2), 13.7),
        # Liu et al., Swin Transformer (ICCV 2021), table 3: 86M
        (partial(UPerNet, backbone=partial(ResNet, 101)), 86),
    ],
)
def test_ade20k_networks(network, millions: float):
    assert count(network(150)) / 1e6 == pytest.approx(millions, abs=0.06 if millions != 86 else 0.6)


def test_pspnet_head():
    """Zhao et al. 2017: four levels of 512 channels, a 3x3 convolution of 4096 to 512, auxiliary of 256."""
    for depth in (50, 101):
        network = PSPNet(19, backbone=partial(ResNet, depth, deep_stem=True))
        pyramid = 4 * (2048 * 512 + 2 * 512)
        head = 9 * 4096 * 512 + 2 * 512 + dense(512, 19)
        auxiliary = 9 * 1024 * 256 + 2 * 256 + dense(256, 19)
        assert count(network) - count(network.backbone) == pyramid + head + auxiliary


def test_deeplab_v2():
    """Four 3x3 classifiers with bias on the whole ResNet-101."""
    assert count(DeepLabV2(21)) == 44_549_160 - dense(2048) + 4 * (9 * 2048 * 21 + 21)


def test_largefov():
    """20.5M: the "20M" of the authors' released initial weights are those without the classifier."""
    fc = 9 * 512 * 1024 + 1024 + dense(1024, 1024)
    assert count(DeepLabLargeFOV(21)) == 14_714_688 + fc + dense(1024, 21)


def test_fcn_8s():
    """VGG-16 without its classifier, three score layers, and three upsampling kernels between classes."""
    scores = dense(4096, 21) + dense(512, 21) + dense(256, 21)
    upsampling = 21 * 21 * (4 * 4 + 4 * 4 + 16 * 16)
    assert count(FCN(21)) == 138_357_544 - dense(4096) + scores + upsampling


def test_dense_prediction_cell_needs_less_than_the_pyramid_it_replaces():
    """Chen et al. 2018: about half the parameters of atrous pyramid pooling."""
    cell = count(DPC(19).cell)
    pyramid = count(DeepLabV3Plus(19, backbone=partial(Xception, depth=71)).aspp)
    assert 0.3 < cell / pyramid < 0.6
