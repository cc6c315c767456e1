"""Visible surfaces: every shape is intersected with the pixel rays of its screen rectangle, nearest wins.

A face with axes r, u and origin o in camera coordinates is seen through the homography
``(s, t, 1) ~ inv([r u o]) inv(K) (column, row, 1)``; the third component is the inverse depth itself, and every
edge of the face is a half plane of the image. So one face costs a handful of array operations on its rectangle.
"""

from dataclasses import dataclass

import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.shapes import Shapes
from tessella.scenes.textures import alpha_masks

_NEAR = 0.05
_CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_CUBE_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CUBE[a] - _CUBE[b]).sum() == 2]
_FACE_EDGES = [(0, 1), (1, 2), (2, 3), (3, 0)]


@dataclass(frozen=True)
class Visible:
    """What every pixel sees. shape: [H, W] int32 index into the shapes, or their number for nothing.
    inverse_depth: [H, W] float32 per metre, 0 for nothing. homography: [F, 3, 3] pixel to (s, t, 1) / depth."""

    shape: np.ndarray
    inverse_depth: np.ndarray
    homography: np.ndarray


def cast(camera: Camera, shapes: Shapes) -> Visible:
    """Find the nearest shape behind every pixel."""
    size = camera.height, camera.width
    count = len(shapes.label)
    shape, inverse_depth = np.full(size, count, np.int32), np.zeros(size, np.float32)
    homography = _cast_faces(camera, shapes, shape, inverse_depth)
    _cast_quadrics(camera, shapes, shape, inverse_depth)
    return Visible(shape, inverse_depth, homography)


def _rectangles(camera: Camera, points: np.ndarray, edges: list[tuple[int, int]]) -> np.ndarray:
    """Screen rectangles [N, 4] (top, bottom, left, right) of convex bodies with corners [N, C, 3] in the camera."""
    start, end = points[:, [a for a, _ in edges]], points[:, [b for _, b in edges]]
    step = end[..., 2] - start[..., 2]
    crosses = (start[..., 2] < _NEAR) != (end[..., 2] < _NEAR)
    share = np.where(crosses, (_NEAR - start[..., 2]) / np.where(crosses, step, 1), 0)
    cut = start + share[..., None] * (end - start)
    every = np.concatenate([points, cut], axis=1)
    seen = np.concatenate([points[..., 2] >= _NEAR, crosses], axis=1)
    pixels = every @ camera.intrinsics.T
    pixels = pixels[..., :2] / np.where(seen, pixels[..., 2], 1)[..., None]
    low = np.where(seen[..., None], pixels, np.inf).min(axis=1)
    high = np.where(seen[..., None], pixels, -np.inf).max(axis=1)
    left, top = np.ceil(np.clip(low, -1, (camera.width, camera.height))).T
    right, bottom = np.floor(np.clip(high, -2, (camera.width, camera.height))).T + 1
    bounds = [np.maximum(top, 0), np.minimum(bottom, camera.height)]
    bounds += [np.maximum(left, 0), np.minimum(right, camera.width)]
    return np.stack(bounds, axis=1).astype(int)


def _nearest_inverse(corners: np.ndarray) -> np.ndarray:
    """An upper bound [N] of the inverse depths of what lies between corners [N, C, 3]: what is behind it is skipped."""
    return 1.0001 / np.maximum(corners[..., 2].min(axis=1), _NEAR)


def _cast_faces(camera: Camera, shapes: Shapes, shape: np.ndarray, inverse_depth: np.ndarray) -> np.ndarray:
    rotation = camera.pose[:3, :3]
    origin, right, up = camera.from_world(shapes.origin), shapes.right @ rotation, shapes.up @ rotation
    facing = np.einsum("ni,ni->n", np.cross(right, up), origin)
    drawn = (np.abs(facing) > 1e-6) & (shapes.two_sided | (facing < 0))
    basis = np.stack([right, up, origin], axis=2)
    basis[~drawn] = np.eye(3)
    homography = np.linalg.inv(basis) @ np.linalg.inv(camera.intrinsics)

    width, height, left, slant = shapes.extent.T[..., None]
    upper_left = origin + height * up + (left * height) * right
    upper_right = origin + height * up + (width - slant * height) * right
    corners = np.stack([origin, origin + width * right, upper_right, upper_left], axis=1)
    rectangles = _rectangles(camera, corners, _FACE_EDGES)
    s, t, one = homography[:, 0], homography[:, 1], homography[:, 2]
    edges = np.stack([t, height * one - t, s - left * t, width * one - s - slant * t], axis=1)

    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    nearest_first = np.argsort(corners[..., 2].mean(axis=1), kind="stable")
    nearest = _nearest_inverse(corners)
    single = homography.astype(np.float32)
    edges = edges.astype(np.float32)
    masks, has_alpha = alpha_masks()
    for index in nearest_first[drawn[nearest_first]]:
        top, bottom, first, last = rectangles[index]
        if top >= bottom or first >= last:
            continue
        target = inverse_depth[top:bottom, first:last]
        if target.min() >= nearest[index]:
            continue
        u, v = columns[first:last], rows[top:bottom]
        a, b, c = single[index, 2]
        inverse = (a * u + c)[None] + (b * v)[:, None]
        wins = inverse > target
        if not wins.any():
            continue
        for a, b, c in edges[index]:
            wins &= (a * u + c)[None] >= (-b * v)[:, None]
        texture = shapes.texture[index]
        if has_alpha[texture]:
            row, column = np.nonzero(wins)
            depth = 1 / inverse[row, column]
            across, along = ((h[0] * u[column] + h[1] * v[row] + h[2]) * depth for h in single[index, :2])
            wins[row, column] = masks[texture][
                _cell(-along / shapes.tile[index, 1]), _cell(across / shapes.tile[index, 0])
            ]
        np.copyto(target, inverse, where=wins)
        shape[top:bottom, first:last][wins] = index
    return single


def _cell(turns: np.ndarray) -> np.ndarray:
    """Texel of a texture coordinate that repeats every 1."""
    return np.floor(turns * 256).astype(np.int32) & 255


def _cast_quadrics(camera: Camera, shapes: Shapes, shape: np.ndarray, inverse_depth: np.ndarray) -> None:
    if not len(shapes.centre):
        return
    rotation, position = camera.pose[:3, :3], camera.pose[:3, 3]
    corners = shapes.centre[:, None] + np.einsum("nij,kj->nki", shapes.axes, _CUBE)
    corners = camera.from_world(corners)
    rectangles, nearest = _rectangles(camera, corners, _CUBE_EDGES), _nearest_inverse(corners)
    inward = np.linalg.inv(shapes.axes)
    start = np.einsum("nij,nj->ni", inward, position - shapes.centre)
    direction = (inward @ rotation @ np.linalg.inv(camera.intrinsics)).astype(np.float32)
    columns, rows = np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    for index in np.flatnonzero(
        (rectangles[:, 0] < rectangles[:, 1]) & (rectangles[:, 2] < rectangles[:, 3])
    ):
        top, bottom, first, last = rectangles[index]
        target = inverse_depth[top:bottom, first:last]
        if target.min() >= nearest[index]:
            continue
        cylinder = shapes.is_cylinder[index]
        o = start[index].astype(np.float32)
        u, v = columns[first:last], rows[top:bottom]
        x, y, z = ((d[0] * u + d[2])[None] + (d[1] * v)[:, None] for d in direction[index])
        a, b, c = x * x + y * y, o[0] * x + o[1] * y, o[0] ** 2 + o[1] ** 2 - 1
        if not cylinder:
            a, b, c = a + z * z, b + o[2] * z, c + o[2] ** 2
        if c <= 0:
            continue  # the camera is inside
        # With w the inverse depth, |o w + d|^2 = w^2 has the roots of c w^2 + 2 b w + a = 0.
        root = b * b - a * c
        hit = (root > 0) & (b < 0)
        if not hit.any():
            continue
        inverse = (np.sqrt(np.maximum(root, 0)) - b) / c
        hit &= inverse > target
        if cylinder:
            hit &= np.abs(o[2] * inverse + z) <= inverse
        np.copyto(target, inverse, where=hit)
        shape[top:bottom, first:last][hit] = len(shapes.origin) + index
