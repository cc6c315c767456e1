"""Phase congruency against filters applied one by one, and on edges that are known."""

import math

import numpy as np
import pytest
import torch
from tests.metrics.naive_phase_congruency import naive_phase_congruency
from torch import Tensor

from tessella.metrics import phase_congruency


def noise(*shape: int) -> Tensor:
    return 255 * torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 48), (31, 29)])
def test_as_filters_one_by_one(height: int, width: int) -> None:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    shapes = 100 * (x + y > 30) + 60 * torch.sin(x / 4) + 5 * noise(height, width) / 255
    grey = torch.stack([shapes, noise(height, width)])
    expected = np.stack([naive_phase_congruency(image.double().numpy()) for image in grey])
    torch.testing.assert_close(phase_congruency(grey).double(), torch.from_numpy(expected), rtol=0, atol=2e-5)


def test_an_edge_of_any_contrast_and_direction_is_found() -> None:
    y, x = torch.meshgrid(torch.arange(129.0) - 64, torch.arange(129.0) - 64, indexing="ij")
    for angle in (0, 30, 45, 90, 135):
        across = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
        from_edge = (across.abs() - 32).abs()  # of a band, away from where the image wraps around
        band = torch.sigmoid(4 * (32 - across.abs()))
        strong, weak = phase_congruency(torch.stack([200 * band, 10 * band + 100]))
        inside = (x.abs() < 40) & (y.abs() < 40)
        assert strong[(from_edge < 1) & inside].mean() > 0.8
        assert strong[(from_edge > 8) & inside].mean() < 0.2
        torch.testing.assert_close(weak, strong, rtol=0, atol=1e-3)


def test_turning_the_image_turns_the_result() -> None:
    grey = noise(1, 45, 45)
    grey[:, 10:30, 5:40] += 200
    turned = phase_congruency(grey.rot90(1, (1, 2)))
    torch.testing.assert_close(turned, phase_congruency(grey).rot90(1, (1, 2)), rtol=0, atol=1e-5)
    shifted = phase_congruency(grey.roll((3, 7), (1, 2)))
    torch.testing.assert_close(shifted, phase_congruency(grey).roll((3, 7), (1, 2)), rtol=0, atol=1e-5)


def test_range_and_constant_images() -> None:
    congruency = phase_congruency(noise(4, 40, 50))
    assert (congruency >= 0).all()
    assert (congruency < 1).all()
    assert phase_congruency(torch.full((1, 37, 50), 201.7)).max() < 1e-6


def test_more_images_than_are_computed_at_a_time() -> None:
    grey = noise(9, 128, 130)
    grey[:, 20:90, 40:80] = 0
    alone = torch.cat([phase_congruency(image[None]) for image in grey])
    torch.testing.assert_close(phase_congruency(grey), alone, rtol=0, atol=1e-5)
