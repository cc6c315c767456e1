from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from tessella.errors import InputError
from tessella.inference import logits, multi_scale, posteriors
from tessella.inference.multi_scale import scaled_size


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 5, 1))


def predict(image: torch.Tensor) -> torch.Tensor:
    return logits(network(), image)


@pytest.mark.parametrize("size", [(16, 24), (13, 7), (3, 5)])
def test_scale_one_without_flip_is_the_whole_image(size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size)
    assert torch.equal(multi_scale(predict, image, (1.0,), flip=False), predict(image))


def test_equals_the_mean_written_out() -> None:
    image = torch.randn(2, 3, 16, 24)
    expected = torch.zeros(2, 5, 16, 24)
    for height, width in ((8, 16), (16, 24), (32, 48)):  # 0.5 * 24 = 12 rounds to 16 among multiples of 8
        for mirrored in (False, True):
            scaled = functional.interpolate(image, (height, width), mode="bilinear", align_corners=False)
            scores = predict(scaled.flip(3)).flip(3) if mirrored else predict(scaled)
            expected += functional.interpolate(scores, (16, 24), mode="bilinear", align_corners=False) / 6
    torch.testing.assert_close(multi_scale(predict, image, (0.5, 1.0, 2.0), flip=True), expected)


def test_flipping_changes_nothing_where_the_network_looks_at_one_pixel() -> None:
    pointwise = nn.Conv2d(3, 5, 1)
    image = torch.randn(1, 3, 9, 14)
    torch.testing.assert_close(
        multi_scale(partial(logits, pointwise), image, (1.0,), flip=True), logits(pointwise, image)
    )


def test_flipping_makes_any_network_blind_to_mirroring() -> None:
    image = torch.randn(1, 3, 10, 15)
    both = partial(multi_scale, predict, scales=(0.5, 1.0), flip=True)
    torch.testing.assert_close(both(image.flip(3)), both(image).flip(3))


@pytest.mark.parametrize("size", [(31, 45), (2, 3)])
def test_constant_scores_and_the_sum_of_posteriors_survive_resizing(size: tuple[int, int]) -> None:
    image = torch.randn(1, 3, *size)
    constant = multi_scale(lambda x: x.new_full((1, 2, *x.shape[2:]), 0.25), image)
    torch.testing.assert_close(constant, torch.full((1, 2, *size), 0.25))
    result = multi_scale(partial(posteriors, network()), image)
    torch.testing.assert_close(result.sum(1), torch.ones(1, *size))
    assert not result.requires_grad


def test_sizes_are_rounded_to_multiples_of_eight_except_at_scale_one() -> None:
    assert scaled_size((360, 480), 1.0) == (360, 480)
    assert scaled_size((241, 321), 1) == (241, 321)
    assert scaled_size((360, 480), 1.25) == (448, 600)
    assert scaled_size((360, 480), 0.75) == (272, 360)
    assert scaled_size((5, 5), 0.5) == (8, 8)


@pytest.mark.parametrize("scales", [(), (1.0, 0.0), (-1.0,), (float("nan"),), (float("inf"),)])
def test_impossible_scales_are_named(scales: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"^scales: "):
        multi_scale(predict, torch.randn(1, 3, 8, 8), scales)
