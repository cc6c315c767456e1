"""Smooth solids seen from ahead, without perspective: which points of a picture they cover, and their normals there."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Form = Literal["ellipsoid", "box", "cylinder", "bumps"]
FORMS: tuple[Form, ...] = ("ellipsoid", "box", "cylinder", "bumps")
BUMP_HEIGHT = 0.14
BUMPS = 5.0
"""Radians of the bumps' waves from the centre to the end of a half axis."""
_REACH = 1.25
"""No form leaves the ball of this many times its longest half axis around its centre."""
_STEPS, _HALVINGS = 24, 12


@dataclass(frozen=True)
class Solid:
    """A form with half axes, turned and moved; camera coordinates (x right, y down, z ahead) in units of half pictures.

    form: ellipsoid; box and cylinder, both superquadrics with rounded edges; bumps, an ellipsoid with waves.
    centre: [2], x and y, the middle of the picture at 0. half_axes: [3], the first one is the longest.
    rotation: [3, 3], its columns are the axes in camera coordinates.
    """

    form: Form
    centre: np.ndarray
    half_axes: np.ndarray
    rotation: np.ndarray

    def first_hit(
        self, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, "m 3"], Float[np.ndarray, "m 3"]]:
        """Where the lines of sight through x, y meet the solid first.

        Returns which of them do, their unit normals in camera coordinates, and the points in the solid's own
        coordinates: along its axes, in half axes. A rim that is touched for less than a tenth of the radius may be
        missed.
        """
        to_own = self.rotation.T / self.half_axes[:, None]
        radius = _REACH * float(self.half_axes.max())
        near = np.flatnonzero((x - self.centre[0]) ** 2 + (y - self.centre[1]) ** 2 < radius**2)
        start = np.stack([x[near] - self.centre[0], y[near] - self.centre[1], np.zeros(len(near))])  # [3, n]
        start = to_own @ start
        step = to_own[:, 2:]
        before, behind = _bracket(self.form, start, step, radius)
        is_hit = np.isfinite(behind)
        near, start, before, behind = near[is_hit], start[:, is_hit], before[is_hit], behind[is_hit]
        for _ in range(_HALVINGS):
            middle = (before + behind) / 2
            is_inside = value(self.form, start + step * middle) < 0
            behind = np.where(is_inside, middle, behind)
            before = np.where(is_inside, before, middle)
        own = start + step * behind
        normals = to_own.T @ gradient(self.form, own)
        normals /= np.linalg.norm(normals, axis=0)
        return near, normals.T, own.T


def _bracket(form: Form, start: np.ndarray, step: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """For each line, a depth outside of the form and the next one, which is inside; infinite where none is."""
    depths = np.linspace(-radius, radius, _STEPS + 1)
    found = np.full(start.shape[1], np.inf)
    waiting = np.arange(start.shape[1])
    for depth in depths:
        is_inside = value(form, start[:, waiting] + step * depth) < 0
        found[waiting[is_inside]] = depth
        waiting = waiting[~is_inside]
    return found - (depths[1] - depths[0]), found


def value(form: Form, own: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, " n"]:
    """Negative inside the form, 0 on its surface; superquadrics after Barr (1981), with the exponent 4."""
    square = own * own
    if form == "box":
        return (square * square).sum(axis=0) - 1
    if form == "cylinder":
        return (square[1] + square[2]) ** 2 + square[0] ** 2 - 1
    if form == "bumps":
        return square.sum(axis=0) - 1 - BUMP_HEIGHT * np.cos(BUMPS * own).prod(axis=0)
    return square.sum(axis=0) - 1


def gradient(form: Form, own: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "3 n"]:
    """Of ``value`` by the own coordinates."""
    if form == "box":
        return 4 * own**3
    if form == "cylinder":
        around = 4 * (own[1] ** 2 + own[2] ** 2)
        return np.stack([4 * own[0] ** 3, around * own[1], around * own[2]])
    if form == "bumps":
        sine, cosine = np.sin(BUMPS * own), np.cos(BUMPS * own)
        waves = np.stack([sine[i] * cosine[(i + 1) % 3] * cosine[(i + 2) % 3] for i in range(3)])
        return 2 * own + BUMP_HEIGHT * BUMPS * waves
    return 2 * own


def draw_solids(rng: np.random.Generator) -> list[Solid]:
    """One to three solids, from front to back, that overlap little and lie in the picture."""
    count = int(rng.integers(1, 4))
    longest = rng.uniform(0.86, 1.0, count) * (0.74, 0.58, 0.5)[count - 1]
    centres = _apart(rng, longest)
    return [
        Solid(
            FORMS[rng.integers(len(FORMS))],
            centres[i],
            longest[i] * np.array([1.0, *rng.uniform(0.6, 0.78, 2)]),
            _turn(rng),
        )
        for i in range(count)
    ]


def _apart(rng: np.random.Generator, radii: np.ndarray) -> np.ndarray:
    """[n, 2] centres so far apart as chance allows in a few tries, within the picture."""
    room = np.maximum(0.98 - radii, 0)[:, None]
    tries = rng.uniform(-1, 1, (40, len(radii), 2)) * room
    gaps = [
        min(
            (
                np.linalg.norm(centres[i] - centres[j]) - 0.8 * (radii[i] + radii[j])
                for i in range(len(radii))
                for j in range(i)
            ),
            default=0.0,
        )
        for centres in tries
    ]
    return tries[int(np.argmax(np.minimum(gaps, 0)))]


def _turn(rng: np.random.Generator) -> np.ndarray:
    """[3, 3], the first axis within 45 degrees of the picture's plane, so that it shows which one is the longest."""
    around, tilt, roll = (
        rng.uniform(0, 2 * np.pi),
        rng.uniform(-np.pi / 4, np.pi / 4),
        rng.uniform(0, 2 * np.pi),
    )
    first = np.array([np.cos(around) * np.cos(tilt), np.sin(around) * np.cos(tilt), np.sin(tilt)])
    second = np.cross(first, [0.0, 0.0, 1.0])
    second /= np.linalg.norm(second)
    third = np.cross(first, second)
    turned = np.cos(roll) * second + np.sin(roll) * third
    return np.stack([first, turned, np.cross(first, turned)], axis=1)
