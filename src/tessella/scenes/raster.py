"""Visible surfaces: every shape is intersected with the pixel rays of its screen rectangle, nearest wins.

A face with axes r, u and origin o in camera coordinates is seen through the homography
``(s, t, 1) ~ inv([r u o]) inv(K) (column, row, 1)``; the third component is the inverse depth itself, and
every edge of the face is a half plane of the image, so that each row of the face is one span of columns.

Large shapes are cast one by one on arrays over their rectangles. The many small ones are cast together, as
one list of all their pixels.
"""

from dataclasses import dataclass

import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.shapes import Shapes
from tessella.scenes.textures import SIDE, alpha_masks

_NEAR = 0.05
_SMALL = 700
_CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_CUBE_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CUBE[a] - _CUBE[b]).sum() == 2]
_FACE_EDGES = [(0, 1), (1, 2), (2, 3), (3, 0)]


@dataclass(frozen=True)
class Visible:
    """What every pixel sees.

    shape: [H, W] int32 index into the shapes, or their number for nothing. inverse_depth: [H, W] float32 per
    metre, 0 for nothing. homography: [F, 3, 3] float32, pixel to (s, t, 1) / depth.
    """

    shape: np.ndarray
    inverse_depth: np.ndarray
    homography: np.ndarray


def cast(camera: Camera, shapes: Shapes) -> Visible:
    """Find the nearest shape behind every pixel."""
    size = camera.height, camera.width
    shape, inverse_depth = np.full(size, len(shapes.label), np.int32), np.zeros(size, np.float32)
    visible = Visible(shape, inverse_depth, _homography(camera, shapes))
    _cast_faces(camera, shapes, visible)
    _cast_quadrics(camera, shapes, visible)
    return visible


def _homography(camera: Camera, shapes: Shapes) -> np.ndarray:
    """Zero for faces that show their back or are seen edge on."""
    rotation = camera.pose[:3, :3]
    origin, right, up = camera.from_world(shapes.origin), shapes.right @ rotation, shapes.up @ rotation
    facing = np.einsum("ni,ni->n", np.cross(right, up), origin)
    hidden = (np.abs(facing) < 1e-6) | ~(shapes.two_sided | (facing < 0))
    basis = np.stack([right, up, origin], axis=2)
    basis[hidden] = np.eye(3)
    homography = np.linalg.inv(basis) @ np.linalg.inv(camera.intrinsics)
    homography[hidden] = 0
    return homography.astype(np.float32)


class _Rectangles:
    """Screen rectangles of convex bodies with corners [N, C, 3] in camera coordinates.

    top, bottom, left, right: [N] bounds, the second of each pair exclusive. nearest: [N] upper bound of the
    inverse depth. large: indices of large rectangles from near to far; small: indices of the small ones.
    """

    def __init__(
        self, camera: Camera, corners: np.ndarray, edges: list[tuple[int, int]], shown: np.ndarray
    ) -> None:
        start, end = corners[:, [a for a, _ in edges]], corners[:, [b for _, b in edges]]
        step = end[..., 2] - start[..., 2]
        crosses = (start[..., 2] < _NEAR) != (end[..., 2] < _NEAR)
        share = np.where(crosses, (_NEAR - start[..., 2]) / np.where(crosses, step, 1), 0)
        cut = start + share[..., None] * (end - start)
        points = np.concatenate([corners, cut], axis=1)
        seen = np.concatenate([corners[..., 2] >= _NEAR, crosses], axis=1)
        pixels = points @ camera.intrinsics.T
        pixels = pixels[..., :2] / np.where(seen, pixels[..., 2], 1)[..., None]
        low = np.where(seen[..., None], pixels, np.inf).min(axis=1)
        high = np.where(seen[..., None], pixels, -np.inf).max(axis=1)
        limits = np.array([camera.width, camera.height])
        self.left, self.top = np.ceil(np.clip(low, 0, limits)).astype(int).T
        self.right, self.bottom = np.floor(np.clip(high, -1, limits - 1)).astype(int).T + 1
        self.nearest = 1.0001 / np.maximum(corners[..., 2].min(axis=1), _NEAR)
        filled = shown & (self.bottom > self.top) & (self.right > self.left)
        area = (self.bottom - self.top) * (self.right - self.left)
        order = np.argsort(-self.nearest, kind="stable")
        self.large = order[(filled & (area > _SMALL))[order]]
        self.small = np.flatnonzero(filled & (area <= _SMALL))

    def pixels(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pixels of the chosen rectangles: the body that each belongs to, its row and its column."""
        width = self.right[chosen] - self.left[chosen]
        count = width * (self.bottom[chosen] - self.top[chosen])
        body = np.repeat(chosen, count)
        position = np.arange(len(body)) - np.repeat(np.cumsum(count) - count, count)
        row, column = np.divmod(position, np.repeat(width, count))
        return body, row + self.top[body], column + self.left[body]


def _keep_nearest(
    visible: Visible, row: np.ndarray, column: np.ndarray, inverse: np.ndarray, index: np.ndarray
) -> None:
    """Enter a list of hits, of which several may fall on one pixel."""
    order = np.argsort(inverse, kind="stable")
    row, column, inverse, index = row[order], column[order], inverse[order], index[order]
    visible.inverse_depth[row, column] = inverse
    visible.shape[row, column] = index


def _cast_faces(camera: Camera, shapes: Shapes, visible: Visible) -> None:
    right, up = shapes.right[:, None], shapes.up[:, None]
    width, height, left, slant = shapes.extent.T[..., None, None]
    offsets = [
        0 * up,
        width * right,
        height * up + (width - slant * height) * right,
        height * up + left * height * right,
    ]
    corners = camera.from_world(shapes.origin[:, None] + np.concatenate(offsets, axis=1))
    homography = visible.homography
    s, t, one = homography[:, 0], homography[:, 1], homography[:, 2]
    width, height, left, slant = shapes.extent.T[..., None].astype(np.float32)
    edges = np.stack([t, height * one - t, s - left * t, width * one - s - slant * t], axis=1)
    rectangles = _Rectangles(camera, corners, _FACE_EDGES, np.abs(one).sum(axis=1) > 0)
    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)

    for index in rectangles.large:
        top, bottom = rectangles.top[index], rectangles.bottom[index]
        first, last = rectangles.left[index], rectangles.right[index]
        target = visible.inverse_depth[top:bottom, first:last]
        if target.min() >= rectangles.nearest[index]:
            continue
        u, v = columns[first:last], rows[top:bottom]
        start, end = _spans(edges[index], v)
        a, b, c = homography[index, 2]
        inverse = (a * u + c)[None] + (b * v)[:, None]
        wins = inverse > target
        wins &= u[None] >= start[:, None]
        wins &= u[None] <= end[:, None]
        _cut_holes(shapes, visible, np.int64(index), wins, u, v)
        np.copyto(target, inverse, where=wins)
        np.copyto(visible.shape[top:bottom, first:last], index, where=wins)

    index, row, column = rectangles.pixels(rectangles.small)
    u, v = column.astype(np.float32), row.astype(np.float32)
    inverse = _affine(one, index, u, v)
    hit = inverse > visible.inverse_depth[row, column]
    for edge in range(4):
        hit &= _affine(edges[:, edge], index, u, v) >= 0
    index, row, column, inverse, u, v = (values[hit] for values in (index, row, column, inverse, u, v))
    across, along = (_affine(homography[:, axis], index, u, v) / inverse for axis in (0, 1))
    solid = _is_solid(shapes.texture[index], across / shapes.tile[index, 0], along / shapes.tile[index, 1])
    _keep_nearest(visible, row[solid], column[solid], inverse[solid], index[solid])


def _spans(edges: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last column [rows] at which all a u + b v + c >= 0; last < first where there are none."""
    start, end = np.full(len(v), -np.inf, np.float32), np.full(len(v), np.inf, np.float32)
    for a, b, c in edges:
        rest = b * v + c
        if a > 0:
            start = np.maximum(start, -rest / a)
        elif a < 0:
            end = np.minimum(end, -rest / a)
        else:
            end = np.where(rest >= 0, end, -np.inf).astype(np.float32)
    return start, end


def _affine(coefficients: np.ndarray, index: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """``a u + b v + c`` with the coefficients [N, 3] of each pixel's own shape."""
    a, b, c = np.ascontiguousarray(coefficients.T)
    return a[index] * u + b[index] * v + c[index]


def _cut_holes(
    shapes: Shapes, visible: Visible, index: np.int64, wins: np.ndarray, u: np.ndarray, v: np.ndarray
) -> None:
    """Take the pixels out of ``wins`` at which the texture of a face is not solid."""
    if not alpha_masks()[1][shapes.texture[index]]:
        return
    row, column = np.nonzero(wins)
    s, t, one = (h[0] * u[column] + h[1] * v[row] + h[2] for h in visible.homography[index])
    tile = shapes.tile[index]
    wins[row, column] = _is_solid(shapes.texture[index], s / one / tile[0], t / one / tile[1])


def _is_solid(texture: np.ndarray, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Whether textures are solid at coordinates in repetitions."""
    column = np.floor(across * SIDE).astype(np.int32) & (SIDE - 1)
    row = np.floor(-along * SIDE).astype(np.int32) & (SIDE - 1)
    return alpha_masks()[0][texture, row, column]


def _cast_quadrics(camera: Camera, shapes: Shapes, visible: Visible) -> None:
    """With w the inverse depth, |o w + d|^2 = w^2 on the unit ball: a quadratic c w^2 + 2 b w + a = 0."""
    if not len(shapes.centre):
        return
    rotation, position = camera.pose[:3, :3], camera.pose[:3, 3]
    corners = camera.from_world(shapes.centre[:, None] + np.einsum("nij,kj->nki", shapes.axes, _CUBE))
    inward = np.linalg.inv(shapes.axes)
    origin = np.einsum("nij,nj->ni", inward, position - shapes.centre)
    radial = np.where(shapes.is_cylinder[:, None], origin * (1, 1, 0), origin)
    outside = (radial**2).sum(axis=1) - 1
    rectangles = _Rectangles(camera, corners, _CUBE_EDGES, outside > 1e-6)
    direction = (inward @ rotation @ np.linalg.inv(camera.intrinsics)).astype(np.float32)
    origin, radial, outside = (values.astype(np.float32) for values in (origin, radial, outside))
    weight = np.where(shapes.is_cylinder, np.float32(0), np.float32(1))
    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    first_quadric = len(shapes.origin)

    for index in rectangles.large:
        top, bottom = rectangles.top[index], rectangles.bottom[index]
        first, last = rectangles.left[index], rectangles.right[index]
        target = visible.inverse_depth[top:bottom, first:last]
        if target.min() >= rectangles.nearest[index]:
            continue
        u, v = columns[first:last], rows[top:bottom]
        ray = [(a * u + c)[None] + (b * v)[:, None] for a, b, c in direction[index]]
        inverse, hit = _meet(ray, origin[index], radial[index], outside[index], weight[index])
        hit &= inverse > target
        np.copyto(target, inverse, where=hit)
        np.copyto(visible.shape[top:bottom, first:last], first_quadric + index, where=hit)

    index, row, column = rectangles.pixels(rectangles.small)
    u, v = column.astype(np.float32), row.astype(np.float32)
    ray = [_affine(direction[:, axis], index, u, v) for axis in range(3)]
    inverse, hit = _meet(ray, origin[index].T, radial[index].T, outside[index], weight[index])
    hit &= inverse > visible.inverse_depth[row, column]
    _keep_nearest(visible, row[hit], column[hit], inverse[hit], first_quadric + index[hit])


def _meet(
    ray: list[np.ndarray], origin: np.ndarray, radial: np.ndarray, outside: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth at which rays enter quadrics, and whether they do; weight: 1 for balls, else 0."""
    x, y, z = ray
    a = x * x + y * y + weight * (z * z)
    b = radial[0] * x + radial[1] * y + radial[2] * z
    root = b * b - a * outside
    inverse = (np.sqrt(np.maximum(root, 0)) - b) / outside
    return inverse, (root > 0) & (b < 0) & (np.abs(origin[2] * inverse + z) <= inverse * np.float32(1.0001))
