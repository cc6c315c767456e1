"""Channels dropped by a code, and codes between codes."""

import pytest
import torch
from scipy import stats

from tessella.errors import InputError
from tessella.image_generation import drop, interpolate

RATES = [0.25, 0.5, 2 / 3]


@pytest.mark.parametrize("rate", RATES)
def test_drop_is_equation_5_2(rate):
    x, codes = torch.randn(3, 5, 4, 6), torch.rand(3, 5)
    wanted = torch.zeros_like(x)
    for item in range(3):
        for channel in range(5):
            if codes[item, channel] > rate:
                wanted[item, channel] = x[item, channel] / (1 - rate)
    torch.testing.assert_close(drop(x, codes, rate), wanted)


def test_a_code_at_the_rate_is_dropped():
    x = torch.ones(1, 3, 1, 1)
    codes = torch.tensor([[0.0, 0.5, 1.0]])
    assert drop(x, codes, 0.5).flatten().tolist() == [0, 0, 2]


def test_drop_expects_its_input():
    codes = torch.rand(40_000, 3)
    x = torch.tensor([1.0, -2.0, 3.0])[None, :, None, None]
    for rate in RATES:
        mean = drop(x.expand(40_000, -1, -1, -1), codes, rate).mean(0).flatten()
        torch.testing.assert_close(mean, x.flatten(), atol=0.06, rtol=0)


def test_codes_of_each_place():
    x, codes = torch.randn(2, 3, 4, 6), torch.rand(2, 3, 4, 6)
    torch.testing.assert_close(drop(x, codes, 0.5), torch.where(codes > 0.5, 2 * x, 0))
    larger = torch.randn(2, 3, 8, 12)
    doubled = codes.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(drop(larger, codes, 0.5), torch.where(doubled > 0.5, 2 * larger, 0))


def test_drop_keeps_type_and_order_in_memory():
    codes = torch.rand(2, 3)
    x = torch.randn(2, 3, 4, 6)
    assert drop(x.bfloat16(), codes, 0.5).dtype == torch.bfloat16
    torch.testing.assert_close(drop(x.bfloat16(), codes, 0.5), drop(x, codes, 0.5).bfloat16())
    torch.testing.assert_close(drop(x.to(memory_format=torch.channels_last), codes, 0.5), drop(x, codes, 0.5))


@pytest.mark.parametrize("shape", [(3, 1), (1, 5), (3, 4), (3,), (3, 1, 4, 6), (3, 5, 4)])
def test_codes_of_another_width_are_not_spread(shape):
    with pytest.raises(InputError, match=r"codes have shape .*: give \[3, 5\]"):
        drop(torch.ones(3, 5, 4, 6), torch.rand(shape), 0.5)


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_dropping_at_a_rate_outside(rate):
    with pytest.raises(InputError, match=rf"rate is {rate}.* lies between 0 and 1"):
        drop(torch.ones(2, 3, 4, 6), torch.rand(2, 3), rate)


def test_what_no_code_lies_between():
    for other in (1, 4):
        with pytest.raises(InputError, match=r"codes have shapes \[3\] and \[.\]"):
            interpolate(torch.rand(3), torch.rand(other), 0.5)
    for value in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="numbers outside of 0 to 1"):
            interpolate(torch.rand(3), torch.tensor([0.5, value, 0.5]), 0.5)


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.7, 0.99])
def test_interpolated_codes_are_uniform(share):
    chance = torch.Generator().manual_seed(3)
    start, end = torch.rand(2, 20_000, generator=chance)
    between = interpolate(start, end, share)
    assert between.min() >= 0
    assert between.max() <= 1
    assert stats.kstest(between.numpy(), "uniform").pvalue > 0.01


def test_the_mixture_itself_is_not_uniform():
    """Why equation 5.3 is not taken literally: at a rate of 2/3, 22% instead of 33% of the channels stay."""
    start, end = torch.rand(2, 200_000, generator=torch.Generator().manual_seed(0))
    mixture = (start + end) / 2
    assert (mixture > 2 / 3).float().mean().item() == pytest.approx(2 / 9, abs=0.005)
    assert (interpolate(start, end, 0.5) > 2 / 3).float().mean().item() == pytest.approx(1 / 3, abs=0.005)


def test_ends_are_the_codes_and_nothing_jumps():
    start, end = torch.rand(2, 500)
    torch.testing.assert_close(interpolate(start, end, 0), start, atol=0, rtol=0)
    torch.testing.assert_close(interpolate(start, end, 1), end, atol=0, rtol=0)
    torch.testing.assert_close(interpolate(start, end, 1e-4), start, atol=1e-3, rtol=0)
    steps = torch.stack([interpolate(start, end, share / 200) for share in range(201)])
    assert steps.diff(dim=0).abs().max() < 0.05


def test_order_of_codes_is_kept():
    """The mixture's distribution function rises: what had the larger mixture has the larger code."""
    mixture = torch.linspace(0, 1, 1001, dtype=torch.float64)
    for share in (0.1, 0.5, 0.8):
        assert (interpolate(mixture, mixture, share).diff() > 0).all()


def test_the_way_is_the_same_back():
    start, end = torch.rand(2, 50)
    torch.testing.assert_close(interpolate(start, end, 0.3), interpolate(end, start, 0.7))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_share_outside(share):
    with pytest.raises(InputError, match=r"share is .* from 0 to 1 of the way"):
        interpolate(torch.rand(3), torch.rand(3), share)
