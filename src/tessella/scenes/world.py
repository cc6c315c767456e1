"""A scene with its cameras and light, ready to be rendered."""

from dataclasses import dataclass

import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.lighting import Light
from tessella.scenes.shapes import Scene


@dataclass(frozen=True)
class World:
    """exposure: gain. white_balance: [3] gains. noise: that of colours. empty_label: id of the sky."""

    scene: Scene
    cameras: list[Camera]
    light: Light
    exposure: float
    white_balance: np.ndarray
    noise: float
    empty_label: int
