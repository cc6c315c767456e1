"""Pinhole cameras. The world has x right, y ahead and z up; a camera has x right, y down and z ahead."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion; pixel centres have integer coordinates.

    intrinsics: [3, 3]. pose: [4, 4] camera to world, metres. height, width: in pixels.
    """

    intrinsics: np.ndarray
    pose: np.ndarray
    height: int
    width: int

    @cached_property
    def rays(self) -> np.ndarray:
        """World directions [H, W, 3] float32 scaled so that ``centre + depth * ray`` is the point seen."""
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).astype(np.float32)
        return pixels @ (self.pose[:3, :3] @ np.linalg.inv(self.intrinsics)).T.astype(np.float32)

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] of the world in camera coordinates."""
        return (points - self.pose[:3, 3]) @ self.pose[:3, :3]


def intrinsics(focal: float, height: int, width: int) -> np.ndarray:
    """[3, 3] for square pixels and the principal point in the middle; focal in pixels."""
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float64)


def look(position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """Camera-to-world pose [4, 4]: yaw turns to the left from straight ahead (+y), pitch up, in radians."""
    ahead = np.array([-np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    down = np.cross(ahead, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
    pose[:3, 2] = ahead
    pose[:3, 3] = position
    return pose


def stand(x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """Object-to-world pose [4, 4] of something standing upright, turned to the left by yaw radians."""
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = x, y, z
    return pose
