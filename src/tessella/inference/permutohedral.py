"""Gaussian filters in many dimensions: the permutohedral lattice (Adams, Baek and Davis, Eurographics 2010).

The time is linear in the number of points whatever the Gaussian's width. Space is filled with simplices; each
point spreads its value over the corners of its simplex ("splat"), the corners are blurred along the lattice's
directions, and each point collects its value from its corners ("slice"). All three are sparse matrices here.
"""

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array, eye_array

from tessella.errors import InputError


class PermutohedralFilter:
    """Sums values over points, weighted by a Gaussian of unit width, up to a constant factor.

    features: [N, d], coordinates in units of the Gaussian's standard deviation in each dimension.
    Calling it with values [N, K] gives, for each point i, about c * sum_j exp(-|f_i - f_j|^2 / 2) values_j.

    Raises InputError where the points are too far apart, in standard deviations, for lattice points to be
    numbered in 63 bits.
    """

    def __init__(self, features: Float[np.ndarray, "points dimensions"]) -> None:
        corners, weights = _enclosing_simplices(features)
        points, num_corners, dimensions = corners.shape
        lowest = corners.min(axis=(0, 1)) - (dimensions + 1)
        extent = corners.max(axis=(0, 1)) + (dimensions + 1) - lowest + 1
        if np.prod(extent.astype(float)) >= 2.0**63:
            raise InputError(
                "theta: the Gaussian is too narrow for this image; give larger standard deviations"
            )
        # One integer per lattice point: a step in the lattice is then the addition of a constant.
        stride = np.append(np.cumprod(extent[:0:-1])[::-1], 1)
        keys, corner_of = np.unique(((corners - lowest) @ stride).ravel(), return_inverse=True)
        self._slice = csr_array(
            (
                weights.ravel(),
                corner_of.astype(np.int32),
                np.arange(points + 1, dtype=np.int32) * num_corners,
            ),
            shape=(points, len(keys)),
        )
        self._splat = self._slice.T.tocsr()
        self._blurs = [_blur(keys, int(step @ stride)) for step in _directions(dimensions)]

    def __call__(self, values: Float[np.ndarray, "points channels"]) -> Float[np.ndarray, "points channels"]:
        # Where lattice points are missing the order of the directions matters; both orders together make the
        # filter symmetric, as the kernel is, and bring it closer to the Gaussian.
        forward = backward = self._splat @ values
        for first, last in zip(self._blurs, reversed(self._blurs), strict=True):
            forward, backward = first @ forward, last @ backward
        return self._slice @ (forward + backward)


def _enclosing_simplices(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [N, d+1, d] (the last coordinate follows from the others), barycentric weights [N, d+1]."""
    d = features.shape[1]
    # Rows of ones up to the diagonal and the negative sum below it: an orthogonal basis of the plane whose
    # coordinates sum to zero. The scale gives splat, blur and slice together a variance of one (section 3.1).
    column = np.arange(d)
    basis = np.triu(np.ones((d + 1, d))) - np.diag(column + 1.0, -1)[:, :d]
    basis *= (d + 1) * np.sqrt(2 / 3) / np.sqrt((column + 1) * (column + 2))
    elevated = features.astype(np.float32) @ basis.T.astype(np.float32)
    # The nearest lattice point of remainder zero; where rounding left the plane, the coordinates that were
    # rounded furthest step back.
    nearest = np.rint(elevated / (d + 1)).astype(np.int32)
    excess = nearest.sum(1, dtype=np.int32)[:, None]
    order = np.argsort(nearest * (d + 1) - elevated, axis=1, kind="stable")
    rank = np.empty_like(nearest)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(d + 1, dtype=np.int32), order.shape), axis=1)
    rank += excess
    wrap = (rank < 0).astype(np.int32) - (rank > d)
    rank += wrap * (d + 1)
    nearest = (nearest + wrap) * (d + 1)
    # Sorted by rank, differences of neighbouring coordinates are the barycentric weights (proposition 4.2).
    offset = np.empty_like(elevated)
    np.put_along_axis(offset, rank, (elevated - nearest) / (d + 1), axis=1)
    weights = np.empty_like(elevated)
    weights[:, 1:] = (offset[:, :-1] - offset[:, 1:])[:, ::-1]
    weights[:, 0] = 1 + offset[:, d] - offset[:, 0]
    remainder = np.arange(d + 1, dtype=np.int32)[:, None]
    rank, nearest = rank[:, None, :d], nearest[:, None, :d]
    corners = nearest + remainder - (d + 1) * (rank > d - remainder)
    return corners, weights


def _directions(d: int) -> np.ndarray:
    """Steps [d+1, d] between neighbours: all coordinates grow by one and one of them falls by d."""
    return np.ones((d + 1, d), np.int64) - (d + 1) * np.eye(d + 1, d, dtype=np.int64)


def _blur(keys: np.ndarray, step: int) -> csr_array:
    """The lattice filter [1/2 1 1/2] along one direction; neighbours that hold no value count as zero."""
    place = np.minimum(np.searchsorted(keys, keys + step), len(keys) - 1)
    present = np.flatnonzero(keys[place] == keys + step)
    size = len(keys)
    forward = csr_array(
        (np.full(len(present), 0.5, np.float32), (present, place[present])), shape=(size, size)
    )
    return (eye_array(size, dtype=np.float32, format="csr") + forward + forward.T).tocsr()
