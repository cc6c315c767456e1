"""The parts of adversarial generation."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tessella.adversarial import CodeEncoder, PatchDiscriminator, UNet, kl_to_standard_normal, least_squares
from tessella.adversarial.layers import CodedConv2d
from tessella.errors import InputError


@pytest.mark.parametrize("size", [(16, 16), (23, 30), (5, 9)])
def test_unet_keeps_any_size(size):
    unet = UNet(3, 7, (8, 12, 16), code_channels=4)
    x = torch.randn(2, 3, *size, requires_grad=True)
    code = torch.randn(2, 4, requires_grad=True)
    out = unet(x, code)
    assert out.shape == (2, 7, *size)
    out.square().sum().backward()
    assert x.grad.abs().max() > 0
    assert code.grad.abs().min() > 0


def test_the_code_shifts_behind_the_normalisation():
    """Before it, normalisation would take the shift away again."""
    layer = CodedConv2d(3, 8, code_channels=2)
    x = torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        plain = layer.norm(layer.conv(x))
        expected = torch.nn.functional.leaky_relu(plain + layer.shift(torch.ones(1, 2))[..., None, None], 0.2)
        torch.testing.assert_close(layer(x, torch.ones(1, 2)), expected)
    assert CodedConv2d(3, 8)(x).shape == (1, 8, 6, 6)


def test_discriminator_at_two_scales():
    scores = PatchDiscriminator(5, (8, 8), scales=2, strided=1)(torch.randn(2, 5, 23, 30))
    assert [tuple(score.shape) for score in scores] == [(2, 1, 12, 15), (2, 1, 6, 8)]


def test_encoder_reads_any_size():
    mean, log_variance = CodeEncoder(5, 8, (8, 8))(torch.randn(2, 5, 23, 30))
    assert mean.shape == log_variance.shape == (2, 8)


@pytest.mark.parametrize(("stride", "places"), [(1, (23, 30)), (2, (12, 15)), (4, (6, 8))])
def test_encoder_of_places(stride, places):
    encoder = CodeEncoder(5, 8, (8, 8), code_stride=stride)
    mean, log_variance = encoder(torch.randn(2, 5, 23, 30))
    assert mean.shape == log_variance.shape == (2, 8, *places)
    with pytest.raises(InputError, match="power of two up to 4"):
        CodeEncoder(5, 8, (8, 8), code_stride=8)


def test_one_code_at_all_places_is_one_code():
    layer = CodedConv2d(3, 8, code_channels=2)
    x, code = torch.randn(1, 3, 6, 6), torch.randn(1, 2)
    torch.testing.assert_close(layer(x, code[:, :, None, None].expand(1, 2, 3, 3)), layer(x, code))


def test_least_squares():
    scores = [torch.tensor([0.5, 1.0]), torch.tensor([[2.0]])]
    assert least_squares(scores, real=True) == pytest.approx((0.125 + 1) / 2)
    assert least_squares(scores, real=False) == pytest.approx((0.625 + 4) / 2)


def test_kl_is_that_of_normal_distributions_whatever_the_batch():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 8), torch.randn(5, 8)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    twice = kl_to_standard_normal(mean.repeat(2, 1), log_variance.repeat(2, 1))
    torch.testing.assert_close(twice, expected)
    of_places = (each[:, :, None, None].expand(5, 8, 2, 3) for each in (mean, log_variance))
    torch.testing.assert_close(kl_to_standard_normal(*of_places), expected)
