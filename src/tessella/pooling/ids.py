"""Ids of regions, looked over before they index memory; those below 0 are of no region."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tessella.errors import InputError

SIGNED = (torch.int8, torch.int16, torch.int32, torch.int64)
UNSIGNED = (torch.uint8, torch.uint16, torch.uint32)


def signed(regions: Tensor) -> Tensor:
    """Regions of a type that has room for -1; InputError where they are not whole numbers."""
    if regions.dtype in UNSIGNED:
        return regions.long()
    if regions.dtype not in SIGNED:
        raise InputError(f"regions are {regions.dtype}: give whole numbers")
    return regions


def require_ids(regions: Tensor, num_regions: int) -> None:
    """InputError where an id is ``num_regions`` or more, unless on a GPU: asking it would make it wait. There such
    ids are of no region, as those below 0.
    """
    if regions.numel() and not regions.is_cuda and int(regions.max()) >= num_regions:
        raise InputError(f"regions hold id {int(regions.max())}, and num_regions is {num_regions}")


def require_compact(largest: int, pixels: int, regions: str = "regions") -> None:
    """InputError where ids leave so many out that what is kept of each would take more room than the pixels do."""
    if largest >= pixels:
        raise InputError(f"{regions} hold id {largest}, of {pixels} pixels: number them from 0 without gaps")


def label_map(regions: np.ndarray, name: str) -> Int[np.ndarray, "*levels height width"]:
    """int32, no id below -1; InputError where there are none, or not whole numbers, or more than pixels."""
    if not isinstance(regions, np.ndarray) or regions.dtype.kind not in "iu" or regions.ndim < 2:
        what = (
            f"{regions.dtype} {list(regions.shape)}"
            if isinstance(regions, np.ndarray)
            else f"{regions!r:.40}"
        )
        raise InputError(f"{name} are {what}: give an array of whole numbers, [H, W]")
    if not regions.size:
        raise InputError(f"{name} are {list(regions.shape)}: give at least one pixel")
    require_compact(int(regions.max()), regions.shape[-2] * regions.shape[-1], name)
    return (np.maximum(regions, -1) if regions.dtype.kind == "i" else regions).astype(np.int32, copy=False)
