"""Upsampling and fusion of the fully convolutional networks."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.networks import FCN, VGG16, TwoStreamFCN
from tessella.networks.fcn import BilinearUpsampling
from tessella.networks.vgg import CeilMaxPool2d

vgg = partial(VGG16, width=4, fc_channels=8)


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_upsampling_starts_as_bilinear_interpolation(factor: int):
    score = torch.randn(2, 3, 5, 4)
    expected = F.interpolate(score, scale_factor=factor, mode="bilinear")
    with torch.no_grad():
        found = BilinearUpsampling(3, factor)(score, size_of=expected)
    # Beyond the outermost pixel centres a transposed convolution fades to zero where interpolation repeats.
    inner = (..., slice(factor // 2, -factor // 2), slice(factor // 2, -factor // 2))
    torch.testing.assert_close(found[inner], expected[inner], rtol=1e-5, atol=1e-5)


def test_upsampling_is_cropped_at_the_far_end():
    layer, score = BilinearUpsampling(2, 8), torch.randn(1, 2, 3, 4)
    full = layer(score, size_of=torch.empty(1, 1, 24, 32))
    assert torch.equal(layer(score, size_of=torch.empty(1, 1, 19, 30)), full[..., :19, :30])


@pytest.mark.parametrize(
    ("stride", "names"),
    [
        (32, ["score_fr", "upscore32"]),
        (16, ["score_fr", "upscore2", "score_pool4", "upscore16"]),
        (8, ["score_fr", "upscore2", "score_pool4", "upscore_pool4", "score_pool3", "upscore8"]),
    ],
)
def test_layers_have_the_published_names(stride: int, names: list[str]):
    network = FCN(3, backbone=vgg, stride=stride)
    assert [name for name, _ in network.named_children() if name != "backbone"] == names


@pytest.mark.parametrize("size", [(1, 1), (6, 7), (9, 4)])
def test_pooling_keeps_odd_rows_and_columns(size: tuple[int, int]):
    x = torch.randn(2, 3, *size).relu()
    assert torch.equal(CeilMaxPool2d()(x), F.max_pool2d(x, 2, ceil_mode=True))


def test_unknown_stride_is_an_error():
    with pytest.raises(InputError, match="stride of FCN is 4"):
        FCN(3, backbone=vgg, stride=4)


def test_two_streams_average_scores_and_add_skips():
    torch.manual_seed(0)
    network = TwoStreamFCN(3, backbone=vgg).eval()
    image = torch.randn(1, 6, 64, 96)
    with torch.no_grad():
        colour, depth = network.backbone["colour"](image[:, :3]), network.backbone["depth"](image[:, 3:])
        score = (network.score_fr["colour"](colour[3]) + network.score_fr["depth"](depth[3])) / 2
        skip = network.score_pool4["colour"](colour[2]) + network.score_pool4["depth"](depth[2])
        up2 = nn.functional.conv_transpose2d(score, network.upscore2.weight, stride=2, padding=1)
        up16 = nn.functional.conv_transpose2d(up2 + skip, network.upscore16.weight, stride=16, padding=8)
        torch.testing.assert_close(network(image), up16)


def test_two_streams_with_other_depth_channels():
    network = TwoStreamFCN(3, in_channels=4, backbone=vgg).eval()
    assert network(torch.randn(1, 4, 33, 40)).shape == (1, 3, 33, 40)
    with pytest.raises(InputError, match="in_channels of TwoStreamFCN is 3"):
        TwoStreamFCN(3, in_channels=3, backbone=vgg)
