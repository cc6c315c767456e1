"""Adding up features over regions, and its adjoint, giving every pixel what its region has."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from tessella.compilers import HAS_NUMBA
from tessella.precision import full_precision


def sum_over_regions(
    features: Float[Tensor, "frames channels height width"],
    regions: Int[Tensor, "frames height width"],
    num_regions: int,
) -> Float[Tensor, "frames channels regions"]:
    """Sum of the features of each region's pixels; ids below 0 are left out, empty regions have 0."""
    return _Sum.apply(features, regions, num_regions)


def spread_to_pixels(
    values: Float[Tensor, "frames channels regions"],
    regions: Int[Tensor, "frames height width"],
) -> Float[Tensor, "frames channels height width"]:
    """Every pixel's region's value; 0 where the id is below 0."""
    return _Spread.apply(values, regions)


def region_sizes(
    regions: Int[Tensor, "frames height width"], num_regions: int
) -> Int[Tensor, "frames regions"]:
    """Pixels of each region in each frame."""
    if not regions.is_cuda and HAS_NUMBA:
        from tessella.pooling.kernels import sizes

        return torch.from_numpy(sizes(regions.flatten(1).numpy(), num_regions))
    shift = (num_regions + 1) * torch.arange(len(regions), device=regions.device)[:, None, None]
    places = _places(regions, num_regions) + shift
    counts = torch.bincount(places.flatten(), minlength=len(regions) * (num_regions + 1))
    return counts.view(len(regions), num_regions + 1)[:, :num_regions]


def largest_in_regions(
    features: Float[Tensor, "frames channels height width"],
    regions: Int[Tensor, "frames height width"],
    num_regions: int,
) -> tuple[Float[Tensor, "frames channels regions"], Int[Tensor, "frames channels regions"]]:
    """The largest feature of each region, and the first pixel that has it; 0 and -1 for an empty region."""
    frames, channels, height, width = features.shape
    planes = features.detach().flatten(2).contiguous()
    ids = regions.flatten(1)
    if not features.is_cuda and HAS_NUMBA:
        from tessella.pooling.kernels import max_planes

        exact = full_precision(planes)
        largest = torch.zeros(frames, channels, num_regions, dtype=exact.dtype)
        where = torch.full(largest.shape, -1)
        max_planes(exact.numpy(), ids.numpy(), largest.numpy(), where.numpy())
        return largest.to(features.dtype), where
    places = _places(ids, num_regions)[:, None].expand(-1, channels, -1)
    largest = planes.new_full((frames, channels, num_regions + 1), -torch.inf)
    largest.scatter_reduce_(2, places, planes, "amax")
    pixels = torch.arange(height * width, device=features.device).expand(planes.shape)
    # NaN is the largest where there is any, and equals nothing.
    found = pixels.where((planes == largest.gather(2, places)) | planes.isnan(), height * width)
    where = torch.full_like(largest, height * width, dtype=torch.long)
    where.scatter_reduce_(2, places, found, "amin")
    empty = where == height * width
    return largest.masked_fill(empty, 0)[..., :-1], where.masked_fill(empty, -1)[..., :-1]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(features: Tensor, regions: Tensor, num_regions: int) -> Tensor:
        return _sum(features, regions, num_regions)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        features, regions, _ = inputs
        ctx.save_for_backward(regions)
        ctx.channels_last = _is_channels_last(features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _Spread.apply(grad, *ctx.saved_tensors, ctx.channels_last), None, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor, regions: Tensor, channels_last: bool = False) -> Tensor:
        return _spread(values, regions, channels_last)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        values, regions = inputs[:2]
        ctx.save_for_backward(regions)
        ctx.num_regions = values.shape[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _Sum.apply(grad, *ctx.saved_tensors, ctx.num_regions), None, None


def _places(regions: Tensor, num_regions: int) -> Tensor:
    """The ids as indices, ``num_regions`` for those of no region."""
    ids = regions.long()
    return ids.where((ids >= 0) & (ids < num_regions), num_regions)


def _sum(features: Tensor, regions: Tensor, num_regions: int) -> Tensor:
    frames, channels, height, width = features.shape
    exact = full_precision(features)
    ids = regions.reshape(frames, height * width)
    if features.is_cuda:
        return _sum_by_products(exact, ids, num_regions).to(features.dtype)
    if not HAS_NUMBA:
        padded = exact.new_zeros(frames, channels, num_regions + 1)
        places = _places(ids, num_regions)
        for frame in range(frames):
            padded[frame].index_add_(1, places[frame], exact[frame].flatten(1))
        return padded[..., :num_regions].to(features.dtype)

    from tessella.pooling.kernels import sum_pixels, sum_planes  # numba takes half a second to import

    if _is_channels_last(features):
        pixels = exact.permute(0, 2, 3, 1).flatten(1, 2)
        rows = exact.new_zeros(frames, num_regions, channels)
        sum_pixels(pixels.numpy(), ids.numpy(), rows.numpy())
        return rows.mT.to(features.dtype)
    planes = exact.contiguous().flatten(2)
    sums = exact.new_zeros(frames, channels, num_regions)
    sum_planes(planes.numpy(), ids.numpy(), sums.numpy())
    return sums.to(features.dtype)


def _sum_by_products(features: Tensor, ids: Tensor, num_regions: int) -> Tensor:
    """By a matrix product with indicators: adding atomically would give other bits every time."""
    planes = features.flatten(2)
    finite = planes.isfinite()
    sums = []
    for values, of_frame in zip(planes.where(finite, 0), ids, strict=True):
        indicators = of_frame == torch.arange(num_regions, device=ids.device)[:, None]
        sums.append(values @ indicators.to(values.dtype).mT)
    result = torch.stack(sums)
    if finite.all():
        return result
    # Zero times infinity is NaN, in every region; added by themselves they give the same in any order.
    places = _places(ids, num_regions)[:, None].expand(planes.shape)
    return F.pad(result, (0, 1)).scatter_add_(2, places, planes.where(~finite, 0))[..., :-1]


def _spread(values: Tensor, regions: Tensor, channels_last: bool) -> Tensor:
    frames, channels, num_regions = values.shape
    if values.is_cuda or not HAS_NUMBA:
        # One value more, 0, for pixels without a region; rows of channels are fast to copy.
        rows = F.pad(values, (0, 1)).mT.flatten(0, 1)
        shift = (num_regions + 1) * torch.arange(frames, device=values.device)[:, None, None]
        places = _places(regions, num_regions) + shift
        output = rows[places].permute(0, 3, 1, 2)
        return output if channels_last else output.contiguous()

    from tessella.pooling.kernels import spread_pixels, spread_planes

    exact = full_precision(values)
    ids = regions.flatten(1).numpy()
    if channels_last:
        rows = F.pad(exact, (0, 1)).mT.contiguous()
        pixels = torch.empty(frames, ids.shape[1], channels, dtype=exact.dtype)
        spread_pixels(rows.numpy(), ids, pixels.numpy())
        return pixels.unflatten(1, regions.shape[1:]).permute(0, 3, 1, 2).to(values.dtype)
    output = torch.empty(frames, channels, *regions.shape[1:], dtype=exact.dtype)
    spread_planes(exact.contiguous().numpy(), ids, output.flatten(2).numpy())
    return output.to(values.dtype)


def _is_channels_last(features: Tensor) -> bool:
    return features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()
