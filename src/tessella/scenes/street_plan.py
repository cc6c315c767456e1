"""The measures of a street: how wide its strips are, where it is crossed, how things move on it."""

import numpy as np

from tessella.scenes.camera import stand
from tessella.scenes.shapes import Scene


class Plan:
    """The measures of one street; x grows to the right, the camera car is at y = 0 when ``times`` is 0."""

    def __init__(self, rng: np.random.Generator, times: np.ndarray) -> None:
        self.rng = rng
        self.times = times
        self.scene = Scene(len(times))
        self.half_road = rng.uniform(3.2, 5.8)
        self.tram = rng.random() < 0.3
        self.half_road += 2.8 * self.tram
        self.crossing = rng.uniform(14, 45) if rng.random() < 0.5 else None
        self.verge = {side: rng.uniform(1.2, 3.0) if rng.random() < 0.45 else 0.0 for side in (-1, 1)}
        self.walk = {side: rng.uniform(2.2, 4.2) for side in (-1, 1)}
        self.garden = {side: rng.uniform(2.0, 7.0) if rng.random() < 0.5 else 0.0 for side in (-1, 1)}
        self.lane = self.half_road / 2 + 0.7 * self.tram

    def edge(self, side: int, part: str) -> float:
        """The outer x of a strip on one side."""
        parts = {"road": self.half_road}
        parts["verge"] = parts["road"] + self.verge[side]
        parts["walk"] = parts["verge"] + self.walk[side]
        parts["garden"] = parts["walk"] + self.garden[side]
        return side * parts[part]

    def free(self, y: float, margin: float = 5.0) -> bool:
        """Whether y is clear of the crossing."""
        return self.crossing is None or abs(y - self.crossing) > margin

    def drive(self, x: float, y: float, speed: float, sideways: bool = False) -> np.ndarray:
        """Poses along the street (a negative speed comes towards the camera), or across it."""
        poses = np.empty((len(self.times), 4, 4))
        for index, time in enumerate(self.times):
            if sideways:
                poses[index] = stand(x + speed * time, y, 0, -np.pi / 2 if speed > 0 else np.pi / 2)
            else:
                poses[index] = stand(x, y + speed * time, 0, 0 if speed >= 0 else np.pi)
        return poses
