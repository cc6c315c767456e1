"""Frames as NYUDv2's raw recordings hold them: lens distortion not removed, depth from its own camera."""

from functools import cache

import cv2
import numpy as np

from tessella.datasets import kinect as calibration
from tessella.datasets.kinect import camera_matrix
from tessella.scenes.sensor import KINECT_MISSING, kinect_steps


@cache
def _undistorted(height: int, width: int, depth: bool) -> np.ndarray:
    """Where the pixels of a distorted picture are in the plane z = 1 before the lens, [H, W, 2]."""
    official = calibration.DEPTH_CAMERA if depth else calibration.COLOR_CAMERA
    distortion = calibration.DEPTH_DISTORTION if depth else calibration.COLOR_DISTORTION
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    matrix = camera_matrix(official, height, width)
    return cv2.undistortPoints(pixels.reshape(-1, 1, 2), matrix, distortion).reshape(height, width, 2)


def raw_color(image: np.ndarray) -> np.ndarray:
    """A colour picture [H, W, 3] as the lens distorts it."""
    height, width = image.shape[:2]
    place = _undistorted(height, width, depth=False)
    matrix = camera_matrix(calibration.COLOR_CAMERA, height, width)
    position = (place * matrix[[0, 1], [0, 1]] + matrix[:2, 2]).astype(np.float32)
    return cv2.remap(
        image, position[..., 0], position[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def raw_depth(depth: np.ndarray) -> np.ndarray:
    """Measured depth [H, W] of the colour camera as disparity steps uint16 of the depth camera beside it.

    The depth at which a ray of the depth camera meets the surface is found by a few fixed-point steps, so
    what only one of the two cameras sees is approximate.
    """
    height, width = depth.shape
    place = _undistorted(height, width, depth=True)
    rays = np.concatenate([place, np.ones((height, width, 1))], axis=2)
    matrix = camera_matrix(calibration.COLOR_CAMERA, height, width)
    turned = rays @ calibration.ROTATION.T
    guess = np.full((height, width), np.median(depth[depth > 0]) if (depth > 0).any() else 2.0)
    found = depth
    for _ in range(4):
        seen = (turned * guess[..., None] + calibration.TRANSLATION) @ matrix.T
        position = (seen[..., :2] / seen[..., 2:]).astype(np.float32)
        found = cv2.remap(
            depth,
            position[..., 0],
            position[..., 1],
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        guess = np.where(found > 0, found, guess)
    return np.where(found > 0, kinect_steps(found), KINECT_MISSING).astype(np.uint16)
