"""What stands along a street: houses, walls, fences, trees, hedges, lamps, lights and signs."""

import numpy as np

from tessella.scenes.camera import stand
from tessella.scenes.classes import STREET
from tessella.scenes.shapes import Scene, Surface

_FACADES = (
    ("facade_0", 4, 4),
    ("facade_1", 6, 4),
    ("facade_2", 3, 4),
    ("facade_3", 5, 5),
    ("facade_4", 8, 5),
)
_PLASTER = (
    (0.55, 0.5, 0.42),
    (0.5, 0.38, 0.22),
    (0.35, 0.18, 0.12),
    (0.45, 0.46, 0.48),
    (0.6, 0.55, 0.5),
    (0.3, 0.36, 0.32),
)
_GREENS = ((0.16, 0.24, 0.06), (0.08, 0.16, 0.04), (0.28, 0.28, 0.06), (0.12, 0.2, 0.1), (0.32, 0.2, 0.06))
SIGNS = ("limit", "stop", "warning", "turn", "parking", "priority", "board")


def house(
    scene: Scene, rng: np.random.Generator, low: tuple[float, float], high: tuple[float, float], street: int
) -> None:
    """A house on the rectangle low-high; ``street`` is -1 or 1, the x direction in which the road lies."""
    facade, columns, rows = _FACADES[rng.integers(len(_FACADES))]
    storeys, storey = int(rng.integers(2, 8)), rng.uniform(2.8, 3.5)
    height = storeys * storey
    color = tuple(np.clip(np.array(_PLASTER[rng.integers(len(_PLASTER))]) * rng.uniform(0.6, 1.3), 0, 1))
    wall = Surface(STREET["building"], facade, color, tile=(columns * rng.uniform(2.2, 3.2), rows * storey))
    thing = scene.thing()
    thing.box(wall, (*low, 0), (*high, height), top=wall.but(texture="concrete", color=(0.3, 0.3, 0.3)))
    if storeys <= 4:
        roof = wall.but(
            texture="roof", color=((0.3, 0.12, 0.07), (0.14, 0.14, 0.16))[rng.integers(2)], tile=4.0
        )
        slope = 0.45 * min(high[0] - low[0], high[1] - low[1])
        thing.frustum(
            roof,
            (low[0] - 0.3, low[1] - 0.3, height),
            (high[0] + 0.3, high[1] + 0.3, height + 0.7 * slope),
            slope,
            slope,
            slope,
        )
    front = high[0] + 0.04 if street > 0 else low[0] - 0.04
    if rng.random() < 0.45:
        shop = wall.but(texture="shop", color=(0.9, 0.9, 0.9), tile=(9.0, 3.2), gloss=0.2)
    else:
        shop = wall.but(texture=str(rng.choice(["brick", "stucco", "slabs"])), tile=2.0)
    start, along = (low[1], high[1] - low[1]) if street > 0 else (high[1], low[1] - high[1])
    thing.face(shop, (front, start, 0), (0, along, 0), (0, 0, min(3.2, height)))
    if rng.random() < 0.3:
        awning = wall.but(texture="cloth_stripes", color=tuple(rng.uniform(0.1, 0.7, 3)), tile=1.2)
        thing.face(
            awning, (front + street * 1.3, start, 2.7), (0, along, 0), (-street * 1.3, 0, 0.7), two_sided=True
        )


def barrier(scene: Scene, rng: np.random.Generator, x: float, start: float, end: float, kind: str) -> None:
    """A wall, a fence or a hedge along the street."""
    thing = scene.thing()
    if kind == "wall":
        texture = str(rng.choice(["brick", "concrete", "slabs", "stucco"]))
        color = tuple(np.array(_PLASTER[rng.integers(len(_PLASTER))]) * rng.uniform(0.6, 1.1))
        height = rng.uniform(1.5, 3.8)
        thing.box(
            Surface(STREET["wall"], texture, color, tile=2.0), (x - 0.15, start, 0), (x + 0.15, end, height)
        )
    elif kind == "hedge":
        green = Surface(STREET["vegetation"], "leaves", _GREENS[rng.integers(len(_GREENS))], tile=1.6)
        thing.box(green, (x - 0.4, start, 0), (x + 0.4, end, rng.uniform(0.8, 2.2)))
    else:
        texture = str(rng.choice(["bars", "planks", "mesh"]))
        color = ((0.05, 0.05, 0.06), (0.25, 0.16, 0.08), (0.5, 0.5, 0.5), (0.1, 0.22, 0.12))[rng.integers(4)]
        height = rng.uniform(1.2, 2.4)
        surface = Surface(STREET["fence"], texture, color, tile=(1.5, height))
        for offset in (-0.03, 0.03):
            thing.face(surface, (x + offset, start, 0), (0, end - start, 0), (0, 0, height), two_sided=True)
        for y in np.arange(start, end, 3.0):
            thing.box(surface.but(texture="plain"), (x - 0.05, y, 0), (x + 0.05, y + 0.1, height + 0.1))


def tree(scene: Scene, rng: np.random.Generator, x: float, y: float) -> None:
    """A trunk and a crown of a few leafy balls, ragged at the edges."""
    label = STREET["vegetation"]
    clear, radius = rng.uniform(1.6, 3.2), rng.uniform(1.2, 2.8)
    pose = stand(x, y, 0, rng.uniform(0, 6.3))
    trunk = scene.thing(pose)
    bark = Surface(label, "bark", (0.18, 0.13, 0.09), tile=1.0)
    trunk.cylinder(bark, (0, 0, 0), (0, 0, clear + radius), rng.uniform(0.1, 0.22))
    crown = scene.thing(pose, part_of=trunk)
    color = np.array(_GREENS[rng.integers(len(_GREENS))]) * rng.uniform(0.8, 1.2)
    for _ in range(int(rng.integers(2, 5))):
        offset = rng.uniform(-0.45, 0.45, 3) * radius
        green = Surface(label, "leaves", tuple(color * rng.uniform(0.8, 1.2)), tile=1.8)
        crown.ellipsoid(green, offset + np.array([0, 0, clear + radius]), radius * rng.uniform(0.5, 0.8, 3))
    ragged = Surface(label, "foliage", tuple(color), tile=None)
    for angle in (0.0, 1.05, 2.1):
        across = np.array([np.cos(angle), np.sin(angle), 0]) * radius * 1.25
        crown.face(
            ragged, (0, 0, clear - 0.2 * radius) - across, 2 * across, (0, 0, 2.5 * radius), two_sided=True
        )


def bush(scene: Scene, rng: np.random.Generator, x: float, y: float) -> None:
    """Two or three leafy balls on the ground."""
    thing = scene.thing(stand(x, y))
    green = Surface(STREET["vegetation"], "leaves", _GREENS[rng.integers(len(_GREENS))], tile=1.4)
    for _ in range(int(rng.integers(2, 4))):
        radii = rng.uniform(0.35, 0.9, 3)
        thing.ellipsoid(green, (*rng.uniform(-0.5, 0.5, 2), 0.6 * radii[2]), radii)


def _post(
    scene: Scene, rng: np.random.Generator, x: float, y: float, height: float, radius: float
) -> Surface:
    grey = rng.uniform(0.06, 0.35)
    surface = Surface(
        STREET["pole"], "metal", (grey, grey, grey * rng.uniform(0.9, 1.1)), tile=1.0, gloss=0.2
    )
    scene.thing(stand(x, y)).cylinder(surface, (0, 0, 0), (0, 0, height), radius)
    return surface


def lamp(scene: Scene, rng: np.random.Generator, x: float, y: float, street: int) -> None:
    """A street lamp whose arm reaches over the road."""
    height = rng.uniform(5, 8)
    surface = _post(scene, rng, x, y, height, rng.uniform(0.06, 0.1))
    arm = scene.thing(stand(x, y), casts_shadow=False)
    reach = street * rng.uniform(0.8, 2.0)
    arm.cylinder(surface, (0, 0, height - 0.1), (reach, 0, height + 0.3), 0.04)
    arm.box(surface, (reach - 0.3, -0.15, height + 0.2), (reach + 0.3, 0.15, height + 0.35), bottom=True)


def traffic_light(scene: Scene, rng: np.random.Generator, x: float, y: float, street: int, lit: int) -> None:
    """A post with a head towards the camera car; now and then a second one over the road."""
    height = rng.uniform(2.6, 3.4)
    surface = _post(scene, rng, x, y, height + 0.3, 0.06)
    head = Surface(STREET["traffic light"], "plain", (0.03, 0.035, 0.03))
    lights = head.but(texture=f"lamps_{lit}", color=(1.0, 1.0, 1.0), tile=None, emission=1.2)

    def hang(across: float, bottom: float) -> None:
        thing = scene.thing(stand(x + across, y), casts_shadow=False)
        thing.box(head, (-0.2, -0.22, bottom), (0.2, 0.1, bottom + 1.0), front=lights, bottom=True)

    hang(0.0, height - 0.8)
    if rng.random() < 0.5:
        arm = scene.thing(stand(x, y), casts_shadow=False)
        arm.cylinder(surface, (0, 0, height + 0.2), (0, 0, 5.6), 0.06)
        arm.cylinder(surface, (0, 0, 5.5), (street * 3.6, 0, 5.6), 0.05)
        hang(street * 3.4, 4.6)


def traffic_sign(scene: Scene, rng: np.random.Generator, x: float, y: float) -> None:
    """A post with one or two signs towards the camera car."""
    _post(scene, rng, x, y, rng.uniform(2.4, 3.0), 0.04)
    size, bottom = rng.uniform(0.6, 1.0), rng.uniform(1.9, 2.2)
    for number in range(int(rng.integers(1, 3))):
        surface = Surface(
            STREET["traffic sign"], f"sign_{SIGNS[rng.integers(len(SIGNS))]}", tile=None, gloss=0.3
        )
        thing = scene.thing(stand(x, y, 0, rng.normal(0, 0.12)), casts_shadow=False)
        thing.face(
            surface,
            (-size / 2, -0.07, bottom - number * (size + 0.05)),
            (size, 0, 0),
            (0, 0, size),
            two_sided=True,
        )


def clutter(scene: Scene, rng: np.random.Generator, x: float, y: float) -> None:
    """A bin, a box or a stand that belongs to no class that counts."""
    thing = scene.thing(stand(x, y, 0, rng.uniform(0, 3)))
    color = ((0.05, 0.12, 0.05), (0.3, 0.22, 0.05), (0.2, 0.2, 0.22), (0.05, 0.08, 0.25))[rng.integers(4)]
    size = rng.uniform(0.3, 0.6, 2)
    thing.box(Surface(STREET["static"], "metal", color), (*-size, 0), (*size, rng.uniform(0.7, 1.3)))
