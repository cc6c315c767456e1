"""Maps, strides and dilations of the backbones, read from the modules."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.networks import VGG16, DeepLabV2, MobileNetV2, PSPNet, ResNet, Xception
from tessella.networks.deeplab_largefov import DeepLabLargeFOV

BACKBONES = {
    "ResNet-18": partial(ResNet, 18, width=8),
    "ResNet-50": partial(ResNet, 50, width=4),
    "ResNet-50, deep stem, Caffe": partial(ResNet, 50, width=4, deep_stem=True, stride_in_1x1=True),
    "VGG-16": partial(VGG16, width=4),
    "VGG-16, pooling 3, fc": partial(VGG16, width=4, pool_size=3, fc_channels=6),
    "Xception-65": partial(Xception, 65, width=8),
    "Xception-71": partial(Xception, 71, width=8),
    "MobileNetV2": partial(MobileNetV2, width_multiplier=0.25),
}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_maps_have_the_announced_channels_and_strides(name: str, output_stride: int):
    backbone = BACKBONES[name](in_channels=2, output_stride=output_stride).eval()
    for height, width in [(64, 96), (65, 33), (31, 1)]:
        with torch.no_grad():
            maps = backbone(torch.randn(1, 2, height, width))
        assert tuple(m.shape[1] for m in maps) == backbone.channels
        strides = [min(stride, output_stride) for stride in (4, 8, 16, 32)]
        expected = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in strides]
        assert [tuple(m.shape[2:]) for m in maps] == expected


@pytest.mark.parametrize("name", BACKBONES)
def test_dilated_maps_hold_the_undilated_ones(name: str):
    """With the same weights, every fourth pixel at stride 8 is a pixel at stride 32."""
    if "VGG" in name:
        pytest.skip("a pooling of 2 without its stride becomes one of 3")
    torch.manual_seed(0)
    coarse = BACKBONES[name](output_stride=32).eval()
    dense = BACKBONES[name](output_stride=8).eval()
    dense.load_state_dict(coarse.state_dict())
    if isinstance(dense, ResNet) and "Caffe" not in name:
        # The first block's 3x3, strided in the coarse network, dilates with the others: undo that layout.
        undo_dilation_of_first_blocks(dense)
    image = torch.randn(1, 3, 129, 161)
    with torch.no_grad():
        expected, found = coarse(image)[-1], dense(image)[-1][..., ::4, ::4]
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def undo_dilation_of_first_blocks(resnet: ResNet) -> None:
    for stage, dilation in ((resnet.layer3, 1), (resnet.layer4, 2)):
        strided = stage[0].conv2 if hasattr(stage[0], "conv3") else stage[0].conv1
        strided.dilation = strided.padding = (dilation, dilation)


def dilations(stage: nn.Module) -> list[list[int]]:
    """Dilations of the 3x3 convolutions of every block."""
    return [
        [layer.dilation[0] for layer in block.modules() if getattr(layer, "kernel_size", 0) == (3, 3)]
        for block in stage.children()
    ]


@pytest.mark.parametrize("network", [PSPNet, DeepLabV2])
def test_resnet_101_has_23_blocks_of_dilation_2_and_3_of_4(network):
    with torch.device("meta"):
        backbone = network(19, backbone=partial(ResNet, 101)).backbone
    assert dilations(backbone.layer2) == [[1]] * 4
    assert dilations(backbone.layer3) == [[2]] * 23
    assert dilations(backbone.layer4) == [[4]] * 3


def test_output_stride_16_dilates_the_last_stage_alone():
    backbone = ResNet(50, output_stride=16, width=4)
    assert dilations(backbone.layer3) == [[1]] * 6
    assert dilations(backbone.layer4) == [[2]] * 3


@pytest.mark.parametrize(("in_1x1", "strides"), [(False, (1, 2)), (True, (2, 1))])
def test_stride_of_bottlenecks(in_1x1: bool, strides: tuple[int, int]):
    block = ResNet(50, width=4, stride_in_1x1=in_1x1).layer2[0]
    assert (block.conv1.stride[0], block.conv2.stride[0]) == strides


def test_deeplab_v2_follows_the_caffe_network():
    with torch.device("meta"):
        network = DeepLabV2(21)
    assert network.backbone.layer2[0].conv1.stride == (2, 2)
    assert [layer.dilation for layer in network.aspp] == [(rate, rate) for rate in (6, 12, 18, 24)]


def test_largefov_follows_the_published_layout():
    with torch.device("meta"):
        backbone = DeepLabLargeFOV(21).backbone
    pools = [layer for layer in backbone.features if isinstance(layer, nn.MaxPool2d)]
    assert [(p.kernel_size, p.stride, p.padding) for p in pools] == [(3, 2, 1)] * 3 + [(3, 1, 1)] * 2
    convolutions = [layer for layer in backbone.features if isinstance(layer, nn.Conv2d)]
    assert [c.dilation[0] for c in convolutions] == [1] * 10 + [2] * 3
    fc6, fc7 = backbone.classifier[0], backbone.classifier[3]
    assert (fc6.kernel_size, fc6.dilation, fc6.out_channels) == ((3, 3), (12, 12), 1024)
    assert (fc7.kernel_size, fc7.out_channels) == ((1, 1), 1024)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ResNet(20), "depth of ResNet is 20"),
        (lambda: Xception(41), "depth of Xception is 41"),
        (lambda: VGG16(pool_size=4), "pool_size of VGG16 is 4"),
        (lambda: MobileNetV2(output_stride=4), "output_stride is 4"),
    ],
)
def test_wrong_arguments_are_named(wrong, message: str):
    with pytest.raises(InputError, match=message):
        wrong()
