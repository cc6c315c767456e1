"""Pooling through upsampling against upsampling, then pooling."""

import re

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.pooling.layers import spatial_pool
from tessella.pooling.upsampled import pool_upsampled, region_matrix

assert_close = torch.testing.assert_close


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def form(request, monkeypatch):
    monkeypatch.setattr("tessella.pooling.upsampled.HAS_NUMBA", request.param == "compiled")


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (1, 1), (40, 50), (1, 9)])
def test_equals_pooling_what_was_upsampled(align_corners, size):
    generator = torch.Generator().manual_seed(0)
    regions = torch.randint(-1, 6, (3, 33, 41), generator=generator)
    regions[1][regions[1] == 2] = 3  # an empty region
    small = torch.randn(3, 4, *size, generator=generator, dtype=torch.float64)
    large = F.interpolate(small, size=(33, 41), mode="bilinear", align_corners=align_corners)
    matrix = region_matrix(regions, 6, size, align_corners)
    assert_close(
        pool_upsampled(small, matrix).double(), spatial_pool(large, regions, 6), rtol=1e-5, atol=1e-5
    )


def test_half_precision():
    """A weight of 1 / 90,000 has few digits in float16."""
    small = torch.full((1, 1, 100, 100), 0.1, dtype=torch.float16)
    matrix = region_matrix(torch.zeros(1, 300, 300, dtype=torch.long), 1, (100, 100))
    assert_close(pool_upsampled(small, matrix).item(), 0.1, rtol=1e-3, atol=0)


def test_what_is_not_finite_stays_in_the_regions_that_read_it():
    regions = torch.zeros(2, 16, 16, dtype=torch.long)
    regions[:, :8] = 1
    small = torch.ones(2, 3, 4, 4, dtype=torch.float64)
    small[0, 0, 0, 1], small[0, 1, 3, 2], small[1, 2, 3, 3] = torch.inf, -torch.inf, torch.nan
    small.requires_grad_()
    matrix = region_matrix(regions, 2, (4, 4))
    pooled = pool_upsampled(small, matrix)
    expected = torch.ones_like(pooled)
    expected[0, 0, 1], expected[0, 1, 0], expected[1, 2, 0] = torch.inf, -torch.inf, torch.nan
    assert_close(pooled, expected, equal_nan=True, rtol=1e-6, atol=0)
    pooled.sum().backward()
    assert_close(small.grad.sum(), torch.tensor(12.0, dtype=torch.float64), rtol=1e-6, atol=0)


def test_gradients():
    regions = torch.randint(-1, 6, (2, 9, 11), generator=torch.Generator().manual_seed(0))
    matrix = region_matrix(regions, 6, (3, 4))
    small = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: pool_upsampled(x, matrix), small, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (1, 1, 2, 2), (3, 1, 2, 2), (2, 2, 2)])
def test_a_matrix_of_other_views_or_another_size(shape):
    """Compiled code would read whatever lies in memory there."""
    matrix = region_matrix(torch.zeros(2, 8, 8, dtype=torch.long), 1, (2, 2))
    assert matrix.views == 2
    message = rf"features are {list(shape)}, the matrix is for [2, C, 2, 2]"
    with pytest.raises(InputError, match=re.escape(message)):
        pool_upsampled(torch.zeros(shape), matrix)


@pytest.mark.parametrize(
    ("regions", "size", "message"),
    [
        (torch.full((1, 8, 8), 3), (2, 2), "regions hold id 3, and num_regions is 3"),
        (torch.zeros(1, 8, 8), (2, 2), "regions are torch.float32: give whole numbers"),
        (torch.zeros(0, 8, 8, dtype=torch.long), (2, 2), r"regions are \[0, 8, 8\]"),
        (torch.zeros(8, 8, dtype=torch.long), (2, 2), r"regions are \[8, 8\]"),
        (torch.zeros(1, 8, 8, dtype=torch.long), (0, 2), r"features \[0, 2\]"),
    ],
)
def test_regions_that_make_no_matrix(regions, size, message):
    with pytest.raises(InputError, match=message):
        region_matrix(regions, 3, size)
