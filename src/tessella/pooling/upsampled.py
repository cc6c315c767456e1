"""Average pooling of features through their upsampling, without the upsampled features.

Both are linear: the average over a region of features upsampled bilinearly is a weighted sum of the small features,
A (U x) = (A U) x. The matrix A U, one row for each region, has few entries and is made once for a label map.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array, kron
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from tessella.compilers import HAS_NUMBA
from tessella.errors import InputError
from tessella.pooling.ids import require_ids, signed
from tessella.precision import full_precision


@dataclass(frozen=True)
class RegionMatrix:
    """The weights with which small features are read: pixel p of view n, of M pixels, is read by ``regions`` with
    ``weights`` from ``bounds[n * M + p]`` to ``bounds[n * M + p + 1]``.
    """

    bounds: Int[Tensor, " pixels_and_one"]
    regions: Int[Tensor, " entries"]
    weights: Float[Tensor, " entries"]
    num_regions: int
    size: tuple[int, int]

    @property
    def views(self) -> int:
        return (len(self.bounds) - 1) // (self.size[0] * self.size[1])

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.bounds.numpy(), self.regions.numpy(), self.weights.numpy()

    def dense(self) -> Float[Tensor, "views pixels regions"]:
        pixels = self.size[0] * self.size[1]
        pixel = torch.repeat_interleave(self.bounds.diff())
        dense = self.weights.new_zeros(len(self.bounds) - 1, self.num_regions)
        dense[pixel, self.regions.long()] = self.weights
        return dense.view(-1, pixels, self.num_regions)


def region_matrix(
    regions: Int[Tensor, "views height width"],
    num_regions: int,
    size: tuple[int, int],
    align_corners: bool = False,
) -> RegionMatrix:
    """How regions average features of ``size`` (height, width) that are upsampled bilinearly to the regions' size.

    Raises InputError where there are no views, an id is ``num_regions`` or more, or ids are not whole numbers.
    """
    if regions.ndim != 3 or not len(regions) or min(size) < 1:
        raise InputError(
            f"regions are {list(regions.shape)}, features {list(size)}: give [N, H, W] of at least one view, and pixels"
        )
    ids = signed(regions).cpu()
    require_ids(ids, num_regions)
    upsampling = _upsampling(regions.shape[1:], size, align_corners)
    views = [_weigh(view, num_regions, upsampling) for view in ids.numpy()]
    counts, readers, weights = (
        torch.from_numpy(np.concatenate(parts)).to(regions.device) for parts in zip(*views, strict=True)
    )
    return RegionMatrix(F.pad(counts.cumsum(0), (1, 0)), readers, weights, num_regions, size)


def _weigh(
    ids: np.ndarray, num_regions: int, upsampling: csr_array
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many regions read each small pixel, which, and their weights, for one view."""
    inside = ids.ravel() >= 0
    region = ids.ravel()[inside]
    bounds = np.concatenate([[0], inside.cumsum()])
    matrix = upsampling @ csr_array((np.ones(len(region)), region, bounds), shape=(ids.size, num_regions))
    matrix.sort_indices()
    pixels = np.bincount(region, minlength=num_regions)
    weights = matrix.data / pixels[matrix.indices]
    return np.diff(matrix.indptr), matrix.indices.astype(np.int32), weights.astype(np.float32)


@lru_cache(maxsize=4)
def _upsampling(large: tuple[int, int], small: tuple[int, int], align_corners: bool) -> csr_array:
    """How much each pixel takes of each small one, [small pixels, pixels]."""
    vertical, horizontal = (_axis(n, m, align_corners) for n, m in zip(large, small, strict=True))
    return csr_array(kron(vertical, horizontal, format="csr"))


def _axis(length: int, small: int, align_corners: bool) -> csr_array:
    """The same of one axis, [small, length]."""
    if align_corners:
        at = np.linspace(0, small - 1, length) if length > 1 else np.zeros(1)
    else:
        at = np.maximum((np.arange(length) + 0.5) * (small / length) - 0.5, 0)
    first = np.minimum(at.astype(np.int64), small - 1)
    share = at - first
    taps = np.concatenate([first, np.minimum(first + 1, small - 1)])
    pixels = np.tile(np.arange(length), 2)
    axis = csr_array((np.concatenate([1 - share, share]), (taps, pixels)), shape=(small, length))
    axis.eliminate_zeros()
    return axis


def pool_upsampled(
    features: Float[Tensor, "views channels height width"], matrix: RegionMatrix
) -> Float[Tensor, "views channels regions"]:
    """``spatial_pool`` of the upsampled features; the gradient is that too.

    Raises InputError where the matrix is for another number of views, or another size.
    """
    if features.ndim != 4 or features.shape[2:] != matrix.size or len(features) != matrix.views:
        raise InputError(
            f"features are {list(features.shape)}, the matrix is for [{matrix.views}, C, {matrix.size[0]}, "
            f"{matrix.size[1]}]: make it of these views' regions"
        )
    exact = full_precision(features)
    if features.is_cuda or not HAS_NUMBA:
        return _multiply_dense(matrix, exact.flatten(2)).to(features.dtype)
    return _Pool.apply(exact.permute(0, 2, 3, 1).flatten(1, 2), matrix).mT.to(features.dtype)


def _multiply_dense(matrix: RegionMatrix, planes: Tensor) -> Tensor:
    """[N, C, pixels] to [N, C, P]."""
    finite = planes.isfinite()
    pooled = planes.where(finite, 0) @ matrix.dense().to(planes.dtype)
    if finite.all():
        return pooled
    # Zero times infinity is NaN: what is not finite is read by those regions alone that have a weight for it.
    pixel = torch.repeat_interleave(matrix.bounds.diff())
    view, place = pixel // planes.shape[2], pixel % planes.shape[2]
    read = planes.where(~finite, 0)[view, :, place] * matrix.weights[:, None].to(planes.dtype)
    return pooled.mT.index_put((view, matrix.regions.long()), read, accumulate=True).mT


class _Pool(torch.autograd.Function):
    """[N, pixels, C] to [N, P, C]."""

    @staticmethod
    def forward(pixels: Tensor, matrix: RegionMatrix) -> Tensor:
        return _multiply(matrix, pixels, matrix.num_regions)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.matrix = inputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        matrix: RegionMatrix = ctx.matrix
        return _multiply(matrix, grad, matrix.size[0] * matrix.size[1], transposed=True), None


def _multiply(matrix: RegionMatrix, features: Tensor, rows: int, transposed: bool = False) -> Tensor:
    """The matrix times features, [N, rows, C]; the processor's vectors want channels by eights."""
    from tessella.pooling.upsampled_kernels import multiply  # numba takes half a second to import

    channels = features.shape[2]
    padded = F.pad(features, (0, -channels % 8)) if channels % 8 else features
    padded = padded.contiguous()
    output = padded.new_zeros(len(padded), rows, padded.shape[2])
    multiply(*matrix.arrays(), padded.numpy(), output.numpy(), transposed)
    return output[..., :channels]
