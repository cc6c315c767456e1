"""The ground plan of a room: where things still fit on its floor and walls."""

from collections.abc import Callable, Mapping

import numpy as np

from tessella.scenes import room_props
from tessella.scenes.camera import stand
from tessella.scenes.furniture import Top
from tessella.scenes.shapes import Scene

Builder = Callable[[Scene, np.ndarray, np.random.Generator], list[Top]]
"""Builds a piece of furniture at a pose and returns the surfaces to put things on."""


class Plan:
    """An empty room of given size, and what of its floor and walls is taken."""

    def __init__(self, rng: np.random.Generator, frames: int) -> None:
        self.rng, self.scene = rng, Scene(frames)
        self.width, self.depth, self.height = rng.uniform((3.0, 3.2, 2.3), (5.0, 5.4, 2.8))
        self.floor_taken: list[tuple[float, float, float, float]] = []
        self.wall_taken: list[tuple[int, float, float, float, float]] = []

    def wall(self, side: int, along: float) -> np.ndarray:
        """Pose on a wall (0 far, 1 right, 2 near, 3 left): x runs along it to the right, y into it."""
        w, d = self.width, self.depth
        return [
            stand(along, d, 0, 0.0),
            stand(w, d - along, 0, -np.pi / 2),
            stand(w - along, 0, 0, np.pi),
            stand(0, along, 0, np.pi / 2),
        ][side]

    def length(self, side: int) -> float:
        """Length of a wall."""
        return self.depth if side % 2 else self.width

    def is_free(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Whether a rectangle of the floor is."""
        inside = low.min() >= -0.01 and high[0] <= self.width + 0.01 and high[1] <= self.depth + 0.01
        return bool(inside) and not any(
            low[0] < x1 and high[0] > x0 and low[1] < y1 and high[1] > y0
            for x0, y0, x1, y1 in self.floor_taken
        )

    def claim(self, pose: np.ndarray, width: float, depth: float, margin: float = 0.04) -> bool:
        """Take the floor under x in +-width / 2, y in -depth..0 of a pose, if it is free."""
        corners = np.array([[x, y, 0, 1] for x in (-width / 2, width / 2) for y in (-depth, 0)]) @ pose.T
        low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
        if not self.is_free(low, high):
            return False
        self.floor_taken.append((*(low - margin), *(high + margin)))
        return True

    def along_wall(
        self,
        build: Builder,
        width: float,
        depth: float,
        height: float,
        clutter: int = 0,
        odds: Mapping[str, float] | None = None,
    ) -> np.ndarray | None:
        """Stand a piece with its back to a wall, with things on top of it; its pose, if it fits."""
        for _ in range(14):
            side = int(self.rng.choice(4, p=[0.4, 0.25, 0.1, 0.25]))
            if self.length(side) < width + 0.1:
                continue
            along = self.rng.uniform(width / 2 + 0.02, self.length(side) - width / 2 - 0.02)
            pose = self.wall(side, along) @ stand(0, -self.rng.uniform(0.01, 0.06))
            if self.wall_is_free(side, along - width / 2, along + width / 2, 0, height) and self.claim(
                pose, width, depth
            ):
                self.wall_taken.append((side, along - width / 2, along + width / 2, 0, height))
                room_props.scatter(
                    self.scene, pose, self.rng, build(self.scene, pose, self.rng), odds or {}, clutter
                )
                return pose
        return None

    def in_middle(
        self,
        build: Builder,
        width: float,
        depth: float,
        clutter: int = 0,
        odds: Mapping[str, float] | None = None,
    ) -> np.ndarray | None:
        """Stand a piece somewhere on the floor; its pose, if it fits."""
        for _ in range(14):
            place = self.rng.uniform((0.8, 0.9), (self.width - 0.8, self.depth - 0.6))
            yaw = self.rng.choice([0, 1, 2, 3]) * np.pi / 2 + self.rng.normal(0, 0.12)
            pose = stand(place[0], place[1], 0, yaw)
            if self.claim(pose, width, depth, 0.1):
                room_props.scatter(
                    self.scene, pose, self.rng, build(self.scene, pose, self.rng), odds or {}, clutter
                )
                return pose
        return None

    def wall_is_free(self, side: int, x0: float, x1: float, z0: float, z1: float) -> bool:
        """Whether a rectangle of a wall is."""
        return not any(
            side == other and x0 < b and x1 > a and z0 < d and z1 > c for other, a, b, c, d in self.wall_taken
        )

    def on_wall(self, size: tuple[float, float], bottom: float) -> np.ndarray | None:
        """Take a free rectangle of a wall; the pose of its lower left corner."""
        for _ in range(10):
            side = int(self.rng.choice(4, p=[0.45, 0.25, 0.05, 0.25]))
            if self.length(side) < size[0] + 0.3 or bottom + size[1] > self.height - 0.05:
                continue
            along = self.rng.uniform(0.15, self.length(side) - size[0] - 0.15)
            if self.wall_is_free(side, along - 0.05, along + size[0] + 0.05, bottom, bottom + size[1]):
                self.wall_taken.append((side, along - 0.05, along + size[0] + 0.05, bottom, bottom + size[1]))
                return self.wall(side, along) @ stand(0, 0, bottom)
        return None
