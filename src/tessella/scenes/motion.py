"""Exact optical flow between two frames, and which pixels are seen in both."""

from dataclasses import dataclass

import cv2
import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.raster import Visible
from tessella.scenes.shapes import Shapes

_TOLERANCE = 0.02


@dataclass(frozen=True)
class View:
    """The geometry of one frame."""

    camera: Camera
    shapes: Shapes
    visible: Visible
    instances: np.ndarray


def flow(source: View, target: View) -> tuple[np.ndarray, np.ndarray]:
    """Where the points of one frame are in another: displacement [H, W, 2] (column, row), visibility.

    Every pixel's 3-D point moves with its body and is projected by the other camera; with points written as
    ``(ray + centre * w, w)``, w the inverse depth, this holds for the sky (w = 0) too. A point is visible
    when it falls inside the other frame onto the same instance and its inverse depth agrees within 2% with
    the bilinear one there, so that bilinear warping is valid. Points behind the other camera get flow 0.
    """
    camera, shapes = source.camera, source.shapes
    inverse = source.visible.inverse_depth.reshape(-1, 1)
    index = source.visible.shape.ravel()
    start, end = camera.pose[:3, 3], target.camera.pose[:3, 3]
    rays = camera.rays.reshape(-1, 3)
    points = rays + inverse * (start - end).astype(np.float32)

    change = target.shapes.motion @ np.linalg.inv(shapes.motion)
    moves = np.abs(change - np.eye(4)).max(axis=(1, 2)) > 1e-9
    shape_moves = np.append(moves[shapes.body], False)
    moving = np.flatnonzero(shape_moves[index])
    if len(moving):
        body = shapes.body[index[moving]]
        turn, shift = change[body, :3, :3].astype(np.float32), change[body, :3, 3].astype(np.float32)
        position = rays[moving] + inverse[moving] * start.astype(np.float32)
        moved = np.einsum("nij,nj->ni", turn, position) + shift * inverse[moving]
        points[moving] = moved - inverse[moving] * end.astype(np.float32)

    seen = points @ (target.camera.pose[:3, :3] @ target.camera.intrinsics.T).astype(np.float32)
    depth_ratio = seen[:, 2]
    ahead = depth_ratio > 1e-3
    safe = np.where(ahead, depth_ratio, 1)
    height, width = source.visible.shape.shape
    column, row = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    to_column, to_row = (seen[:, 0] / safe).reshape(height, width), (seen[:, 1] / safe).reshape(height, width)
    ahead = ahead.reshape(height, width)
    displacement = np.stack([to_column - column, to_row - row], axis=-1)
    displacement[~ahead] = 0

    expected = (inverse[:, 0] / safe).reshape(height, width)
    inside = ahead & (to_column >= 0) & (to_column <= width - 1) & (to_row >= 0) & (to_row <= height - 1)
    found = cv2.remap(
        target.visible.inverse_depth, to_column, to_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    nearest_column = np.clip(np.rint(to_column), 0, width - 1).astype(np.intp)
    nearest_row = np.clip(np.rint(to_row), 0, height - 1).astype(np.intp)
    same = target.instances[nearest_row, nearest_column] == source.instances
    return displacement, inside & same & (np.abs(found - expected) <= _TOLERANCE * expected + 1e-6)
