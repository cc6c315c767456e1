"""Pedestrians with swinging limbs, and riders."""

import numpy as np

from tessella.scenes.classes import STREET
from tessella.scenes.shapes import Scene, Surface, Thing

_SKIN = ((0.55, 0.35, 0.25), (0.4, 0.24, 0.16), (0.16, 0.09, 0.06), (0.6, 0.42, 0.33))
_HAIR = ((0.02, 0.015, 0.01), (0.1, 0.05, 0.02), (0.35, 0.25, 0.1), (0.25, 0.25, 0.25))
_CLOTH = ("plain", "stucco", "fabric", "checks", "cloth_stripes")


def _cloth(rng: np.random.Generator, label: int) -> Surface:
    color = rng.uniform(0.02, 0.2, 3) if rng.random() < 0.55 else rng.uniform(0.05, 0.6, 3)
    return Surface(label, str(rng.choice(_CLOTH)), tuple(color), tile=0.5)


def _swing(poses: np.ndarray, joint: tuple[float, float, float], angles: np.ndarray) -> np.ndarray:
    """Poses [T, 4, 4] of a limb that turns about the x axis through a joint, angles [T] in radians."""
    turn = np.tile(np.eye(4), (len(angles), 1, 1))
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angles)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angles), np.sin(angles)
    turn[:, :3, 3] = joint
    return poses @ turn


def _head(
    thing: Thing,
    rng: np.random.Generator,
    label: int,
    place: tuple[float, float, float],
    size: float,
    helmet: bool,
) -> None:
    skin = Surface(label, "plain", _SKIN[rng.integers(len(_SKIN))])
    hair = skin.but(
        color=tuple(rng.uniform(0.05, 0.7, 3)) if helmet else _HAIR[rng.integers(len(_HAIR))],
        gloss=0.4 * helmet,
    )
    x, y, z = place
    thing.ellipsoid(skin, place, (0.085 * size, 0.1 * size, 0.125 * size))
    thing.ellipsoid(hair, (x, y - 0.025 * size, z + 0.035 * size), (0.1 * size, 0.11 * size, 0.11 * size))


def pedestrian(
    scene: Scene, poses: np.ndarray, rng: np.random.Generator, pace: np.ndarray, label: int = STREET["person"]
) -> None:
    """A person of 1.1 to 1.9 m who looks towards +y; pace: phase of the steps [frames] in radians."""
    size = rng.uniform(0.62, 0.8) if rng.random() < 0.15 else rng.uniform(0.9, 1.08)
    poses = np.broadcast_to(poses, (scene.frames, 4, 4))
    coat, trousers = _cloth(rng, label), _cloth(rng, label)
    body = scene.thing(poses)
    long_coat = rng.random() < 0.3
    body.ellipsoid(
        coat,
        (0, 0, (1.1 if long_coat else 1.2) * size),
        (0.21 * size, 0.14 * size, (0.42 if long_coat else 0.34) * size),
    )
    body.ellipsoid(coat, (0, 0, 1.38 * size), (0.23 * size, 0.11 * size, 0.12 * size))
    _head(body, rng, label, (0, 0.02, 1.63 * size), size, helmet=False)
    if rng.random() < 0.35:
        bag = _cloth(rng, label)
        body.box(
            bag, (-0.16 * size, -0.3 * size, 1.0 * size), (0.16 * size, -0.1 * size, 1.45 * size), bottom=True
        )
    stride = 0.45 * np.sin(pace)
    shoe = Surface(label, "plain", (0.03, 0.03, 0.03))
    for side in (-1, 1):
        leg = scene.thing(
            _swing(poses, (side * 0.09 * size, 0, 0.92 * size), side * stride), body, casts_shadow=False
        )
        leg.cylinder(trousers, (0, 0, 0), (0, 0, -0.86 * size), 0.085 * size)
        leg.ellipsoid(shoe, (0, 0.05 * size, -0.87 * size), (0.06 * size, 0.13 * size, 0.05 * size))
        arm = scene.thing(
            _swing(poses, (side * 0.25 * size, 0, 1.42 * size), -0.8 * side * stride),
            body,
            casts_shadow=False,
        )
        arm.cylinder(coat, (0, 0, 0), (side * 0.04 * size, 0, -0.56 * size), 0.055 * size)


def rider(scene: Scene, poses: np.ndarray, rng: np.random.Generator, saddle: float, helmet: bool) -> None:
    """A person on a saddle at the given height, leaning forward."""
    label = STREET["rider"]
    coat, trousers = _cloth(rng, label), _cloth(rng, label)
    thing = scene.thing(poses)
    lean = np.array([0, 0.28, 0.62])
    hip = np.array([0, -0.22, saddle])
    shoulder = hip + lean
    thing.cylinder(coat, hip, shoulder, 0.17)
    thing.ellipsoid(coat, shoulder, (0.23, 0.14, 0.13))
    thing.ellipsoid(trousers, hip, (0.19, 0.18, 0.14))
    _head(thing, rng, label, (0, shoulder[1] + 0.08, shoulder[2] + 0.27), 1.0, helmet or rng.random() < 0.4)
    for side in (-1, 1):
        knee = np.array([side * 0.15, 0.22, saddle - 0.12 - 0.12 * (side > 0)])
        foot = np.array([side * 0.13, 0.05, 0.3 + 0.15 * (side < 0)])
        thing.cylinder(trousers, hip + np.array([side * 0.1, 0, 0]), knee, 0.085)
        thing.cylinder(trousers, knee, foot, 0.065)
        thing.ellipsoid(trousers, knee, (0.085, 0.085, 0.085))
        thing.cylinder(coat, shoulder + np.array([side * 0.22, 0, 0]), (side * 0.28, 0.52, 1.02), 0.055)
