"""Pyramid pooling against PyTorch's own pooling, interpolation and convolution."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.networks.convolution import PooledBatchNorm2d
from tessella.networks.pyramid_pooling import BinPooling, PyramidConv2d

SIZES = [(13, 7), (1, 1), (2, 9), (60, 33)]


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", SIZES)
def test_bins_are_those_of_adaptive_pooling(bins: int, size: tuple[int, int]):
    x = torch.randn(2, 3, *size, dtype=torch.double)
    torch.testing.assert_close(BinPooling(bins)(x), F.adaptive_avg_pool2d(x, bins))


@pytest.mark.parametrize("size", SIZES)
def test_pyramid_convolution_is_that_of_the_upsampled_levels(size: tuple[int, int]):
    torch.manual_seed(0)
    layer = PyramidConv2d(5, 4, 3, 6).double()
    x = torch.randn(2, 5, *size, dtype=torch.double)
    levels = [torch.randn(2, 4, bins, bins, dtype=torch.double) for bins in (1, 3, 6)]
    upsampled = [F.interpolate(level, size=size, mode="bilinear") for level in levels]
    expected = F.conv2d(torch.cat([x, *upsampled], dim=1), layer.weight, padding=1)
    torch.testing.assert_close(layer((x, levels)), expected, rtol=1e-9, atol=1e-9)


def test_gradients_of_pyramid_convolution():
    torch.manual_seed(0)
    layer = PyramidConv2d(2, 2, 2, 3).double()
    inputs = [
        torch.randn(1, 2, *size, dtype=torch.double, requires_grad=True) for size in ((4, 5), (1, 1), (3, 3))
    ]
    assert torch.autograd.gradcheck(lambda x, *levels: layer((x, list(levels))), inputs)


def test_half_precision_keeps_its_type():
    layer = PyramidConv2d(4, 4, 1, 4).bfloat16()
    x = torch.randn(1, 4, 9, 9, dtype=torch.bfloat16)
    assert layer((x, [BinPooling(3)(x)])).dtype == torch.bfloat16


def test_a_single_value_per_channel_is_normalised_by_running_statistics():
    layer = PooledBatchNorm2d(3)
    layer(torch.randn(4, 3, 1, 1) * 2 + 1)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    pixel = torch.randn(1, 3, 1, 1)
    found = layer.train()(pixel)
    assert torch.equal(found, layer.eval()(pixel))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_more_values_are_normalised_by_their_own_statistics():
    x = torch.randn(2, 3, 1, 1)
    assert torch.equal(PooledBatchNorm2d(3)(x), nn.BatchNorm2d(3)(x))
