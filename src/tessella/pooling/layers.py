"""Spatio-temporal data-driven pooling: features of several views brought together by regions (thesis, section 3.2.2).

Regions of all views carry the ids of the target's: region j of a view is what corresponds to region j of the target.
Ids below 0 belong to no region. All layers are without parameters and linear but for "max".
"""

from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.pooling.ids import require_compact, require_ids, signed
from tessella.pooling.sums import largest_in_regions, region_sizes, spread_to_pixels, sum_over_regions
from tessella.pooling.upsampled import pool_upsampled, region_matrix
from tessella.precision import full_precision

Reduce = Literal["mean", "max"]


def spatial_pool(
    features: Float[Tensor, "views channels height width"],
    regions: Int[Tensor, "views height width"],
    num_regions: int,
    reduce: Reduce = "mean",
) -> Float[Tensor, "views channels regions"]:
    """Average, or largest, of the features of each region's pixels (equations 3.1, 3.2); 0 for an empty region.

    Raises InputError where sizes differ, an id is ``num_regions`` or more (on a GPU that is no region), or ids are not
    whole numbers.
    """
    if features.ndim != 4 or regions.shape != (features.shape[0], *features.shape[2:]):
        raise InputError(
            f"features {list(features.shape)} and regions {list(regions.shape)}: give [N, C, H, W] and [N, H, W]"
        )
    _require_mode("reduce", reduce)
    regions = signed(regions)
    require_ids(regions, num_regions)
    if reduce == "max":
        return _Max.apply(features, regions, num_regions)[0]
    # In half precision the sum of a large region would be infinite, where the mean is not.
    sums = sum_over_regions(full_precision(features), regions, num_regions)
    return (sums / region_sizes(regions, num_regions)[:, None].clamp(min=1)).to(features.dtype)


def temporal_pool(
    pooled: Float[Tensor, "views channels regions"],
    present: Bool[Tensor, "views regions"],
    reduce: Reduce = "mean",
) -> Float[Tensor, "channels regions"]:
    """Average, or largest, over the views in which a region is present (equations 3.3, 3.4); 0 where it is in none.

    Raises InputError where sizes differ.
    """
    if pooled.ndim != 3 or present.shape != (pooled.shape[0], pooled.shape[2]):
        raise InputError(
            f"pooled {list(pooled.shape)} and present {list(present.shape)}: give [N, C, P] and [N, P]"
        )
    _require_mode("reduce", reduce)
    if reduce == "max":
        largest = pooled.masked_fill(~present[:, None], -torch.inf).amax(0)
        return largest.masked_fill(~present.any(0), 0)
    views = present.sum(0).clamp(min=1)
    sums = full_precision(pooled).masked_fill(~present[:, None], 0).sum(0)
    return (sums / views).to(pooled.dtype)


def region_to_pixel(
    values: Float[Tensor, "channels regions"], regions: Int[Tensor, "height width"]
) -> Float[Tensor, "channels height width"]:
    """What each pixel's region has (equations 3.5, 3.6); 0 where the id is below 0.

    Raises InputError where sizes are others, an id has no value (on a GPU its pixels have 0), or ids are not whole
    numbers.
    """
    if values.ndim != 2 or regions.ndim != 2:
        raise InputError(
            f"values {list(values.shape)} and regions {list(regions.shape)}: give [C, P] and [H, W]"
        )
    regions = signed(regions)
    require_ids(regions, values.shape[1])
    return spread_to_pixels(values[None], regions[None])[0]


def _require_mode(name: str, mode: str) -> None:
    if mode not in get_args(Reduce):
        raise InputError(f"{name}: {mode!r} given; choose {' or '.join(get_args(Reduce))}")


class SpatioTemporalPooling(nn.Module):
    """Region-wise pooling of the logits (or features) of any network, over one view or several.

    ``forward(features [N, C, H, W], regions [N, H, W], target)`` returns [C, H, W] for view ``target``: every pixel of
    a region has the pooled value of all views in which the region is present, and pixels without a region keep their
    own features. One view gives superpixel pooling. Several levels of a hierarchy, regions [L, N, H, W], give the mean
    over the levels (section 3.4.2). Features smaller than the regions are averaged through their bilinear upsampling,
    which is never built; the result has the regions' size.

    spatial, temporal: "mean" or "max", over a region's pixels and over its views.

    Raises InputError for other modes, where features and regions are not of the same views, there is no view
    ``target``, or its ids are not whole numbers below the number of its pixels.
    """

    def __init__(self, *, spatial: Reduce = "mean", temporal: Reduce = "mean") -> None:
        super().__init__()
        _require_mode("spatial", spatial)
        _require_mode("temporal", temporal)
        self.spatial, self.temporal = spatial, temporal

    def forward(
        self,
        features: Float[Tensor, "views channels rows columns"],
        regions: Int[Tensor, "*levels views height width"],
        target: int = 0,
    ) -> Float[Tensor, "channels height width"]:
        if features.ndim != 4 or regions.ndim not in (3, 4) or len(features) != regions.shape[-3]:
            raise InputError(
                f"features {list(features.shape)} and regions {list(regions.shape)}: "
                "give [N, C, H, W] and [N, H, W], or [L, N, H, W] for levels"
            )
        if not 0 <= target < len(features):
            raise InputError(f"target {target}: there are {len(features)} views")
        regions = signed(regions)
        levels = regions if regions.ndim == 4 else regions[None]
        # Gradients are added up over regions too.
        exact = full_precision(features)
        return torch.stack([self._level(exact, level, target) for level in levels]).mean(0).to(features.dtype)

    def _level(self, features: Tensor, regions: Tensor, target: int) -> Tensor:
        here = regions[target]
        num_regions = int(here.max()) + 1 if here.numel() else 0
        require_compact(num_regions - 1, here.numel())
        # What is in no region of the target changes nothing there.
        regions = regions.where(regions < num_regions, -1)
        own = features[target]
        if own.shape[1:] == here.shape:
            pooled = spatial_pool(features, regions, num_regions, self.spatial)
        elif self.spatial == "mean":
            pooled = pool_upsampled(
                features, region_matrix(regions, num_regions, (own.shape[1], own.shape[2]))
            )
            own = F.interpolate(own[None], here.shape, mode="bilinear")[0]
        else:
            raise InputError(
                f"features are {list(own.shape[1:])}, regions {list(here.shape)}: only averages go through upsampling"
            )
        brought = temporal_pool(pooled, region_sizes(regions, num_regions) > 0, self.temporal)
        return own.where(here < 0, region_to_pixel(brought, here))

    def extra_repr(self) -> str:
        return f"spatial={self.spatial!r}, temporal={self.temporal!r}"


class _Max(torch.autograd.Function):
    """The gradient goes to the first of the largest pixels."""

    @staticmethod
    def forward(features: Tensor, regions: Tensor, num_regions: int) -> tuple[Tensor, Tensor]:
        return largest_in_regions(features, regions, num_regions)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.shape = inputs[0].shape
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        (where,) = ctx.saved_tensors
        frames, channels, height, width = ctx.shape
        # One place more, for what empty regions send back.
        spread = grad.new_zeros(frames, channels, height * width + 1)
        spread.scatter_(2, where.where(where >= 0, height * width), grad)
        return spread[..., :-1].unflatten(2, (height, width)), None, None
