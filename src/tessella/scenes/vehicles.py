"""Cars, lorries, buses, trams and two-wheelers; they drive towards their own +y and stand on z = 0."""

import numpy as np

from tessella.scenes.classes import STREET
from tessella.scenes.people import rider
from tessella.scenes.shapes import Scene, Surface, Thing

PAINTS = (
    (0.75, 0.75, 0.75),
    (0.42, 0.43, 0.45),
    (0.18, 0.18, 0.2),
    (0.03, 0.03, 0.035),
    (0.03, 0.06, 0.25),
    (0.4, 0.02, 0.03),
    (0.05, 0.16, 0.1),
    (0.5, 0.42, 0.3),
    (0.1, 0.3, 0.5),
    (0.6, 0.35, 0.05),
)


def _paint(rng: np.random.Generator, label: str) -> Surface:
    color = np.clip(np.array(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(0.8, 1.2), 0, 1)
    return Surface(STREET[label], "plain", tuple(color), gloss=0.5)


def _wheels(thing: Thing, label: int, half_width: float, axles: tuple[float, ...], radius: float) -> None:
    tyre = Surface(label, "wheel", (0.8, 0.8, 0.8), tile=None)
    for y in axles:
        for x in (-half_width, half_width):
            thing.face(tyre, (x, y - radius, 0), (0, 2 * radius, 0), (0, 0, 2 * radius), two_sided=True)
        thing.box(
            tyre.but(texture="plain", color=(0.02, 0.02, 0.02)),
            (-half_width + 0.02, y - 0.7 * radius, 0.02),
            (half_width - 0.02, y + 0.7 * radius, 1.2 * radius),
        )


def car(scene: Scene, poses: np.ndarray, rng: np.random.Generator) -> None:
    """A saloon, an estate or a van."""
    paint = _paint(rng, "car")
    thing = scene.thing(poses)
    kind = rng.choice(3, p=[0.5, 0.3, 0.2])
    half, side = rng.uniform(1.9, 2.4), rng.uniform(0.84, 0.93)
    belt, roof = [(0.86, 1.45), (0.9, 1.55), (1.05, 1.95)][kind]
    rear, screen = [(0.55, 0.75), (0.2, 0.7), (0.12, 0.5)][kind]
    cabin_start, cabin_end = [(-0.82, 0.5), (-0.97, 0.5), (-0.98, 0.72)][kind]
    flank = paint.but(texture="car_side", tile=None)
    thing.box(
        flank,
        (-side, -half, 0.22),
        (side, half, belt),
        front=paint.but(texture="car_rear", tile=None),
        back=paint.but(texture="car_front", tile=None),
        top=paint,
    )
    glass = Surface(paint.label, "car_glass", (0.9, 0.95, 1.0), tile=None, gloss=0.8)
    thing.frustum(
        glass,
        (-side + 0.04, cabin_start * half, belt),
        (side - 0.04, cabin_end * half, roof),
        rear,
        screen,
        0.16,
        top=paint,
    )
    thing.box(
        Surface(paint.label, "plain", (0.02, 0.02, 0.02)),
        (-side + 0.15, -half + 0.25, 0.12),
        (side - 0.15, half - 0.25, 0.24),
    )
    _wheels(thing, paint.label, side + 0.01, (-0.6 * half, 0.62 * half), 0.32)


def truck(scene: Scene, poses: np.ndarray, rng: np.random.Generator) -> None:
    """A cab and a box or tarpaulin behind it."""
    paint = _paint(rng, "truck")
    thing = scene.thing(poses)
    half, height = rng.uniform(2.8, 4.5), rng.uniform(2.8, 3.6)
    load = _paint(rng, "truck").but(
        texture=str(rng.choice(["cargo", "metal", "stripes_upright"])), tile=(4.0, height), gloss=0.1
    )
    thing.box(load, (-1.2, -half, 0.75), (1.2, half - 2.0, height), bottom=True)
    cab = paint.but(texture="car_front", tile=None)
    thing.box(paint, (-1.15, half - 1.9, 0.45), (1.15, half, 1.5), back=cab)
    glass = Surface(paint.label, "car_glass", (0.9, 0.95, 1.0), tile=None, gloss=0.8)
    thing.frustum(glass, (-1.15, half - 1.9, 1.5), (1.15, half, 2.5), 0.0, 0.25, 0.05, top=paint)
    dark = Surface(paint.label, "plain", (0.03, 0.03, 0.03))
    thing.box(dark, (-1.0, -half + 0.1, 0.45), (1.0, half - 0.4, 0.76))
    lamp = Surface(paint.label, "plain", (0.5, 0.03, 0.03))
    for x in (-1.1, 0.8):
        thing.face(lamp, (x, -half - 0.01, 0.78), (0.3, 0, 0), (0, 0, 0.16))
    _wheels(thing, paint.label, 1.2, (-half + 0.9, half - 0.95), 0.5)


def bus(scene: Scene, poses: np.ndarray, rng: np.random.Generator) -> None:
    """A city bus."""
    paint = _paint(rng, "bus")
    thing = scene.thing(poses)
    half, height = rng.uniform(4.8, 6.2), rng.uniform(2.9, 3.2)
    end = paint.but(texture="coach_front", tile=None)
    thing.box(
        paint.but(texture="bus_side", tile=(7.0, height - 0.3)),
        (-1.25, -half, 0.3),
        (1.25, half, height),
        end,
        end,
        paint,
    )
    lamp = Surface(paint.label, "plain", (0.5, 0.03, 0.03))
    for x in (-1.2, 0.95):
        thing.face(lamp, (x, -half - 0.01, 0.6), (0.25, 0, 0), (0, 0, 0.5))
    _wheels(thing, paint.label, 1.26, (-half + 2.4, half - 2.3), 0.48)


def tram(scene: Scene, poses: np.ndarray, rng: np.random.Generator) -> None:
    """A tram of two or three cars."""
    paint = _paint(rng, "train")
    thing = scene.thing(poses)
    end, cars = paint.but(texture="coach_front", tile=None), int(rng.integers(2, 4))
    flank = paint.but(texture="tram_side", tile=(7.0, 2.9))
    for number in range(cars):
        y = (number - cars / 2) * 9.0
        thing.frustum(flank, (-1.25, y + 0.25, 0.35), (1.25, y + 8.75, 3.3), 0.1, 0.1, 0.1, end, end, paint)
        thing.box(paint.but(color=(0.1, 0.1, 0.1)), (-0.5, y + 3, 3.3), (0.5, y + 6, 3.6))
        thing.box(paint.but(color=(0.03, 0.03, 0.03)), (-1.1, y + 1, 0.05), (1.1, y + 8, 0.4))
        if number:
            thing.box(paint.but(color=(0.05, 0.05, 0.05)), (-1.1, y - 0.25, 0.4), (1.1, y + 0.25, 3.1))


def two_wheeler(scene: Scene, poses: np.ndarray, rng: np.random.Generator, motor: bool, ridden: bool) -> None:
    """A bicycle or motorcycle, with or without its rider."""
    name = "motorcycle" if motor else "bicycle"
    paint = _paint(rng, name)
    thing = scene.thing(poses)
    length, height = (2.1, 1.25) if motor else (1.8, 1.2)
    flank = paint.but(texture=name, tile=None)
    offsets = (-0.12, 0.12) if motor else (-0.02, 0.02)
    for x in offsets:
        thing.face(flank, (x, -length / 2, 0), (0, length, 0), (0, 0, height), two_sided=True)
    tyre = Surface(paint.label, "plain", (0.02, 0.02, 0.02))
    wide, tall = (0.1, 0.62) if motor else (0.03, 0.66)
    thing.box(tyre, (-wide, -length / 2, 0), (wide, -length / 2 + 0.04, tall))
    thing.box(tyre, (-wide, length / 2 - 0.04, 0), (wide, length / 2, tall))
    thing.cylinder(tyre, (-0.3, 0.3 * length, 0.83 * height), (0.3, 0.3 * length, 0.83 * height), 0.025)
    if motor:
        thing.ellipsoid(paint, (0, 0.12, 0.72), (0.2, 0.42, 0.2))
        thing.ellipsoid(tyre, (0, -0.05, 0.45), (0.2, 0.35, 0.22))
    if ridden:
        rider(scene, poses, rng, saddle=0.8 if motor else 0.9, helmet=motor)
