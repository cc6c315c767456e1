"""Pooling by regions against loops over its definition, and against finite differences."""

import pytest
import torch
from torch.autograd import gradcheck

from tessella.errors import InputError
from tessella.pooling.layers import (
    SpatioTemporalPooling,
    region_sizes,
    region_to_pixel,
    spatial_pool,
    temporal_pool,
)
from tessella.pooling.sums import _sum_by_products, largest_in_regions, spread_to_pixels, sum_over_regions

assert_close = torch.testing.assert_close


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def form(request, monkeypatch):
    """Run every test with the code compiled for the processor, and with plain PyTorch."""
    monkeypatch.setattr("tessella.pooling.sums.HAS_NUMBA", request.param == "compiled")
    return request.param


def problem(dtype=torch.float64, ids=torch.int64):
    """Three views, two channels, five regions: the last is empty everywhere, region 1 in view 2."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 2, 6, 7, generator=generator, dtype=torch.float64).to(dtype)
    regions = torch.randint(-1, 4, (3, 6, 7), generator=generator, dtype=ids)
    regions[2][regions[2] == 1] = 0
    return features, regions


def naive_spatial(features, regions, num_regions, reduce):
    pooled = torch.zeros(*features.shape[:2], num_regions, dtype=features.dtype)
    for view in range(len(features)):
        for region in range(num_regions):
            inside = regions[view] == region
            if inside.any():
                values = features[view][:, inside]
                pooled[view, :, region] = values.mean(1) if reduce == "mean" else values.amax(1)
    return pooled


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("ids", [torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_spatial_pooling(reduce, ids, memory_format):
    features, regions = problem(ids=ids)
    pooled = spatial_pool(features.to(memory_format=memory_format), regions, 5, reduce)
    assert_close(pooled, naive_spatial(features, regions, 5, reduce))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_precisions(dtype):
    features, regions = problem(dtype)
    pooled = spatial_pool(features, regions, 5)
    assert pooled.dtype == dtype
    assert_close(pooled.double(), naive_spatial(features.double(), regions, 5, "mean"), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_means_of_regions_whose_sums_half_precision_does_not_hold(dtype):
    """90,000 times 10 is infinite in float16, whose largest number is 65,504."""
    features = torch.full((2, 1, 300, 300), 10.0, dtype=dtype, requires_grad=True)
    regions = torch.zeros(2, 300, 300, dtype=torch.long)
    pooled = SpatioTemporalPooling()(features, regions)
    assert torch.equal(pooled, torch.full_like(pooled, 10.0))
    pooled.sum().backward()
    assert_close(features.grad, torch.full_like(features, 0.5))


def test_means_over_views_whose_sum_half_precision_does_not_hold():
    pooled = torch.full((20, 1, 1), 5000.0, dtype=torch.float16)
    assert temporal_pool(pooled, torch.ones(20, 1, dtype=torch.bool)).item() == 5000


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_what_an_absent_view_holds_does_not_count(reduce):
    pooled = torch.tensor([[[1.0, 2.0]], [[torch.nan, 4.0]], [[torch.inf, 6.0]]])
    present = torch.tensor([[True, True], [False, True], [False, True]])
    expected = [[1.0, 4.0 if reduce == "mean" else 6.0]]
    assert temporal_pool(pooled, present, reduce).tolist() == expected


def test_products_keep_to_their_region_what_is_not_finite():
    """As on a GPU; a pixel of no region counts nowhere."""
    inf, nan = torch.inf, torch.nan
    features = torch.ones(2, 2, 2, 4)
    features[0, 0] = torch.tensor([[inf, 1, 2, -inf], [nan, 3, inf, -inf]])
    regions = torch.tensor([[[0, 0, 1, -1], [2, 1, 3, 3]]]).repeat(2, 1, 1)
    sums = _sum_by_products(features, regions.flatten(1), 4)
    assert_close(sums[0, 0], torch.tensor([inf, 5, nan, nan]), equal_nan=True)
    assert sums[0, 1].tolist() == sums[1, 0].tolist() == [2, 2, 1, 2]
    assert_close(sums, sum_over_regions(features, regions, 4), equal_nan=True)


def test_ids_beyond_the_last_region_are_of_none_where_they_are_not_refused(form):
    """A GPU does not look; frames lie behind one another in memory."""
    if form == "compiled":
        pytest.skip("the processor refuses them")
    regions = torch.tensor([[[0, 0, 4, 3]], [[1, 1, 1, -1]]])
    features = torch.full((2, 1, 1, 4), 6.0)
    assert region_sizes(regions, 2).tolist() == [[2, 0], [0, 3]]
    assert _sum_by_products(features, regions.flatten(1), 2).tolist() == [[[12, 0]], [[0, 18]]]
    assert sum_over_regions(features, regions, 2).tolist() == [[[12, 0]], [[0, 18]]]
    assert largest_in_regions(features, regions, 2)[0].tolist() == [[[6, 0]], [[0, 6]]]
    spread = spread_to_pixels(torch.tensor([[[1.0, 2]], [[3, 4]]]), regions)
    assert spread.tolist() == [[[[1, 1, 0, 0]]], [[[4, 4, 4, 0]]]]


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_spatial_pooling(reduce, memory_format):
    features, regions = problem()
    features = features.to(memory_format=memory_format).requires_grad_()
    assert gradcheck(lambda x: spatial_pool(x, regions, 5, reduce), features)
    (gradient,) = torch.autograd.grad(spatial_pool(features, regions, 5, reduce).sum(), features)
    assert gradient.shape == features.shape


def test_the_gradient_of_max_goes_to_the_first_of_equals():
    features = torch.ones(1, 1, 1, 4, requires_grad=True)
    spatial_pool(features, torch.tensor([[[0, 0, 1, 1]]]), 2, "max").sum().backward()
    assert features.grad.flatten().tolist() == [1, 0, 1, 0]


def test_the_largest_of_what_is_not_finite():
    """NaN is larger than everything, as in PyTorch; the first of equals has the gradient."""
    inf, nan = torch.inf, torch.nan
    features = (
        torch.tensor([-inf, -inf, 1, nan, 2, nan, inf, 0, nan, inf, 3]).view(1, 1, 1, 11).requires_grad_()
    )
    regions = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 3, 3, -1]).view(1, 1, 11)
    pooled = spatial_pool(features, regions, 5, "max")
    assert_close(pooled.flatten(), torch.tensor([-inf, nan, inf, nan, 0]), equal_nan=True)
    pooled.sum().backward()
    assert features.grad.flatten().nonzero().flatten().tolist() == [0, 3, 6, 8]


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_temporal_pooling(reduce):
    features, regions = problem()
    pooled = spatial_pool(features, regions, 5)
    present = region_sizes(regions, 5) > 0
    assert present[:, 4].tolist() == [False, False, False]
    assert present[:, 1].tolist() == [True, True, False]
    brought = temporal_pool(pooled, present, reduce)
    for region in range(5):
        views = [pooled[view, :, region] for view in range(3) if present[view, region]]
        expected = torch.zeros(2, dtype=torch.float64)
        if views:
            expected = torch.stack(views).mean(0) if reduce == "mean" else torch.stack(views).amax(0)
        assert_close(brought[:, region], expected)
    assert gradcheck(lambda x: temporal_pool(x, present, reduce), pooled.requires_grad_())


def test_region_to_pixel():
    _, regions = problem()
    values = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    pixels = region_to_pixel(values, regions[0])
    for y in range(6):
        for x in range(7):
            region = int(regions[0, y, x])
            expected = values[:, region] if region >= 0 else torch.zeros(2, dtype=torch.float64)
            assert_close(pixels[:, y, x], expected)
    assert gradcheck(lambda v: region_to_pixel(v, regions[0]), values)


@pytest.mark.parametrize("spatial", ["mean", "max"])
@pytest.mark.parametrize("temporal", ["mean", "max"])
def test_the_module(spatial, temporal):
    features, regions = problem()
    output = SpatioTemporalPooling(spatial=spatial, temporal=temporal)(features, regions, target=1)
    pooled = spatial_pool(features, regions, 4, spatial)
    brought = temporal_pool(pooled, region_sizes(regions, 4) > 0, temporal)
    assert_close(output, features[1].where(regions[1] < 0, region_to_pixel(brought, regions[1])))
    assert gradcheck(
        lambda x: SpatioTemporalPooling(spatial=spatial, temporal=temporal)(x, regions, 1),
        features.requires_grad_(),
    )


def test_one_view_is_superpixel_pooling():
    features, regions = problem()
    output = SpatioTemporalPooling()(features[:1], regions[:1])
    for region in range(4):
        inside = regions[0] == region
        assert_close(
            output[:, inside], features[0][:, inside].mean(1, keepdim=True).expand(-1, int(inside.sum()))
        )
    assert torch.equal(output[:, regions[0] < 0], features[0][:, regions[0] < 0])


def test_levels_are_averaged():
    features, regions = problem()
    other = regions.clamp(max=1)
    both = SpatioTemporalPooling()(features, torch.stack([regions, other]))
    alone = [SpatioTemporalPooling()(features, level) for level in (regions, other)]
    assert_close(both, (alone[0] + alone[1]) / 2)


def test_regions_that_only_other_views_have_change_nothing():
    features, regions = problem()
    more = regions.clone()
    more[1:][more[1:] < 0] = 7
    assert torch.equal(SpatioTemporalPooling()(features, regions), SpatioTemporalPooling()(features, more))


def test_a_target_without_regions_stays_as_it_is():
    features, regions = problem()
    assert torch.equal(SpatioTemporalPooling()(features, torch.full_like(regions, -1)), features[0])


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (torch.zeros(3, 6, 6, dtype=torch.long), r"features \[3, 2, 6, 7\] and regions \[3, 6, 6\]"),
        (torch.zeros(3, 6, 7), "regions are torch.float32: give whole numbers"),
        (torch.full((3, 6, 7), 9), "regions hold id 9, and num_regions is 5"),
    ],
)
def test_bad_regions(regions, message):
    with pytest.raises(InputError, match=message):
        spatial_pool(problem()[0], regions, 5)


@pytest.mark.parametrize(
    ("values", "regions", "message"),
    [
        (torch.zeros(2, 5), torch.full((6, 7), 5), "regions hold id 5, and num_regions is 5"),
        (torch.zeros(2, 5), torch.zeros(6, 7), "regions are torch.float32: give whole numbers"),
        (
            torch.zeros(2, 5),
            torch.zeros(1, 6, 7, dtype=torch.long),
            r"values \[2, 5\] and regions \[1, 6, 7\]",
        ),
    ],
)
def test_bad_values(values, regions, message):
    with pytest.raises(InputError, match=message):
        region_to_pixel(values, regions)


@pytest.mark.parametrize("mode", ["avg", "MAX", "sum"])
def test_other_modes(mode):
    features, regions = problem()
    for name, make in {
        "reduce": lambda: spatial_pool(features, regions, 5, mode),
        "spatial": lambda: SpatioTemporalPooling(spatial=mode),
        "temporal": lambda: SpatioTemporalPooling(temporal=mode),
    }.items():
        with pytest.raises(InputError, match=f"{name}: '{mode}' given; choose mean or max"):
            make()
    with pytest.raises(InputError, match=f"reduce: '{mode}' given"):
        temporal_pool(torch.zeros(3, 2, 5), torch.ones(3, 5, dtype=torch.bool), mode)


def test_views_without_presence():
    with pytest.raises(InputError, match=r"pooled \[3, 2, 5\] and present \[3, 4\]"):
        temporal_pool(torch.zeros(3, 2, 5), torch.ones(3, 4, dtype=torch.bool))


@pytest.mark.parametrize(
    ("features", "regions", "target", "message"),
    [
        ((2, 3, 6, 8), (1, 12, 16), 0, r"features \[2, 3, 6, 8\] and regions \[1, 12, 16\]"),
        ((1, 3, 6, 8), (2, 12, 16), 0, r"features \[1, 3, 6, 8\] and regions \[2, 12, 16\]"),
        ((2, 3, 6, 8), (1, 3, 6, 8), 0, "or .L, N, H, W. for levels"),
        ((3, 6, 8), (3, 6, 8), 0, r"give .N, C, H, W."),
        ((0, 3, 6, 8), (0, 6, 8), 0, "target 0: there are 0 views"),
        ((2, 3, 6, 8), (2, 6, 8), 2, "target 2: there are 2 views"),
        ((2, 3, 6, 8), (2, 6, 8), -1, "target -1: there are 2 views"),
    ],
)
def test_views_that_do_not_fit_together(features, regions, target, message):
    """The compiled form would read what lies behind them in memory."""
    with pytest.raises(InputError, match=message):
        SpatioTemporalPooling()(torch.zeros(features), torch.zeros(regions, dtype=torch.long), target)


@pytest.mark.parametrize("id_", [2**31, 2**33])
def test_ids_beyond_all_memory(id_):
    features, regions = problem()
    regions[0, 0, 0] = id_
    with pytest.raises(InputError, match=f"regions hold id {id_}, of 42 pixels"):
        SpatioTemporalPooling()(features, regions)
    # What the target does not have is in none of its regions, however large.
    expected = SpatioTemporalPooling()(features, regions.where(regions < 4, -1), target=1)
    assert torch.equal(SpatioTemporalPooling()(features, regions, target=1), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_unsigned_ids(dtype):
    features, regions = problem()
    regions = regions.clamp(min=0)
    regions[1, 0, 0] = 40  # the target lacks it
    expected = SpatioTemporalPooling()(features, regions)
    assert torch.equal(SpatioTemporalPooling()(features, regions.to(dtype)), expected)


def test_smaller_features_are_pooled_through_their_upsampling() -> None:
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(3, 4, 6, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    regions = torch.randint(-1, 9, (2, 3, 24, 32), generator=generator)
    large = torch.nn.functional.interpolate(small, (24, 32), mode="bilinear")
    expected = SpatioTemporalPooling()(large, regions)
    result = SpatioTemporalPooling()(small, regions)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(x.square().sum(), small)[0] for x in (result, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="only averages"):
        SpatioTemporalPooling(spatial="max")(small, regions)
