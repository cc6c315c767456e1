"""Small things on surfaces, and what hangs on walls."""

from collections.abc import Mapping

import numpy as np

from tessella.scenes.camera import stand
from tessella.scenes.classes import ROOM
from tessella.scenes.furniture import Top, cloth, wooden
from tessella.scenes.shapes import Scene, Surface

_PROPS = ("books", "books", "box", "paper", "lamp", "bag", "otherprop", "television", "towel", "clothes")


def scatter(
    scene: Scene,
    pose: np.ndarray,
    rng: np.random.Generator,
    tops: list[Top],
    odds: Mapping[str, float],
    most: int,
) -> None:
    """Put up to ``most`` things on each surface; odds: relative frequency by name (others 1, 0 for never)."""
    weights = np.array([odds.get(name, 1.0) for name in _PROPS])
    for x0, x1, y0, y1, z in tops:
        taken: list[float] = []
        for _ in range(int(rng.integers(0, most + 1))):
            x = rng.uniform(x0, x1) if x1 > x0 else 0.0
            if any(abs(x - other) < 0.24 for other in taken):
                continue
            taken.append(x)
            y = rng.uniform(y0, y1) if y1 > y0 else y0
            name = str(rng.choice(_PROPS, p=weights / weights.sum()))
            prop(scene, pose @ stand(x, y, z, rng.normal(0, 0.5)), rng, name)


def prop(scene: Scene, pose: np.ndarray, rng: np.random.Generator, name: str) -> list[Top]:
    """One small thing that stands on z = 0."""
    thing = scene.thing(pose, casts_shadow=pose[2, 3] < 0.05)
    paint = Surface(
        ROOM[{"otherprop": "other prop"}.get(name, name)],
        "plain",
        tuple(rng.uniform(0.03, 0.7, 3)),
        gloss=0.2,
    )
    if name == "books":
        z = 0.0
        for _ in range(int(rng.integers(1, 6))):
            half, thick = rng.uniform((0.1, 0.07), (0.15, 0.11)), rng.uniform(0.02, 0.05)
            cover = paint.but(texture="cover", color=tuple(rng.uniform(0.15, 1, 3)), tile=None, gloss=0.1)
            pages = paint.but(color=(0.65, 0.62, 0.55), texture="wallpaper_stripes")
            thing.box(
                cover.but(texture="plain"),
                (-half[0], -half[1], z),
                (half[0], half[1], z + thick),
                back=pages,
                top=cover,
            )
            z += thick
    elif name == "box":
        size = rng.uniform((0.1, 0.08, 0.08), (0.22, 0.18, 0.3))
        surface = paint.but(texture=str(rng.choice(["cover", "stucco", "cargo"])), tile=None, gloss=0.0)
        if rng.random() < 0.4:
            surface = surface.but(color=(0.4, 0.27, 0.15), texture="stucco")
        thing.box(surface, (-size[0], -size[1], 0), (size[0], size[1], size[2]))
    elif name == "paper":
        for turn in range(int(rng.integers(1, 4))):
            shift = 0.05 * turn
            thing.box(
                paint.but(texture="writing", color=(0.9, 0.9, 0.88), tile=None),
                (-0.11 + shift, -0.15, 0),
                (0.1 + shift, 0.14, 0.004 + 0.002 * turn),
            )
    elif name == "lamp":
        height = rng.uniform(0.3, 0.5)
        thing.ellipsoid(paint, (0, 0, 0.04), (0.09, 0.09, 0.05))
        thing.cylinder(paint.but(texture="metal"), (0, 0, 0), (0, 0, height), 0.018)
        shade = paint.but(texture="fabric", color=(0.8, 0.72, 0.55), emission=float(rng.choice([0.0, 1.0])))
        thing.frustum(
            shade, (-0.15, -0.15, height - 0.05), (0.15, 0.15, height + 0.17), 0.05, 0.05, 0.05, bottom=True
        )
    elif name == "bag":
        size = rng.uniform((0.14, 0.08, 0.2), (0.24, 0.15, 0.4))
        stuff = cloth(rng, "bag")
        thing.frustum(stuff, (-size[0], -size[1], 0), (size[0], size[1], size[2]), 0.05, 0.05, 0.04)
        thing.ellipsoid(stuff, (0, -size[1], 0.35 * size[2]), (0.7 * size[0], 0.05, 0.3 * size[2]))
    elif name == "television":
        width = rng.uniform(0.22, 0.3)
        black = paint.but(color=(0.025, 0.025, 0.025))
        screen = paint.but(texture=_screen(rng), color=(1, 1, 1), tile=None, emission=0.5, gloss=0.5)
        thing.box(black, (-width, -0.03, 0.1), (width, 0.03, 0.1 + 1.25 * width), front=screen, bottom=True)
        thing.box(black, (-0.04, -0.02, 0), (0.04, 0.02, 0.12))
        thing.box(black, (-0.13, -0.09, 0), (0.13, 0.09, 0.015))
    elif name in ("towel", "clothes"):
        stuff = cloth(rng, name)
        thing.ellipsoid(stuff, (0, 0, 0.05), (0.2, 0.14, 0.09))
        thing.ellipsoid(stuff, (0.1, 0.05, 0.04), (0.15, 0.12, 0.08))
    else:
        radius, height = rng.uniform(0.04, 0.1), rng.uniform(0.1, 0.3)
        if rng.random() < 0.5:
            thing.ellipsoid(paint, (0, 0, height / 2), (radius, radius, height / 2))
            if rng.random() < 0.6:
                leaves = paint.but(texture="leaves", color=(0.15, 0.3, 0.08), tile=0.4)
                thing.ellipsoid(leaves, (0, 0, height + 0.08), (0.13, 0.13, 0.15))
        else:
            thing.cylinder(paint, (0, 0, 0), (0, 0, height), radius * 0.6)
            thing.ellipsoid(paint, (0, 0, height), (radius * 0.6, radius * 0.6, 0.02))
    return []


def _screen(rng: np.random.Generator) -> str:
    return str(rng.choice(["screen_on", "screen_off"]))


def floor_lamp(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
    """A tall lamp with a shade."""
    thing = scene.thing(pose)
    metal = Surface(ROOM["lamp"], "metal", (0.1, 0.1, 0.1))
    height = rng.uniform(1.3, 1.7)
    thing.cylinder(metal, (0, -0.2, 0), (0, -0.2, height), 0.015)
    thing.ellipsoid(metal, (0, -0.2, 0.01), (0.14, 0.14, 0.03))
    shade = metal.but(texture="fabric", color=(0.8, 0.7, 0.5), emission=float(rng.choice([0.0, 1.2])))
    thing.frustum(shade, (-0.2, -0.4, height - 0.1), (0.2, 0.0, height + 0.2), 0.07, 0.07, 0.07, bottom=True)
    return []


def window(
    scene: Scene, pose: np.ndarray, rng: np.random.Generator, size: tuple[float, float], view: int
) -> None:
    """A window in the wall plane y = 0, its lower left corner at the origin, with or without curtains."""
    thing = scene.thing(pose, casts_shadow=False)
    width, height = size
    glass = Surface(ROOM["window"], f"view_{view}", tile=None, emission=0.9 if view < 2 else 0.3)
    thing.face(glass, (0, -0.015, 0), (width, 0, 0), (0, 0, height))
    frame = Surface(ROOM["window"], "plain", (0.6, 0.6, 0.58))
    thing.box(frame, (-0.06, -0.1, -0.05), (width + 0.06, 0, 0), bottom=True)
    dressing = rng.choice(["none", "blinds", "curtain", "curtain"])
    if dressing == "blinds":
        blinds = scene.thing(pose, casts_shadow=False)
        drop = height * rng.uniform(0.3, 1.0)
        slats = Surface(
            ROOM["blinds"], "blinds", tuple(rng.uniform(0.4, 0.8) * np.ones(3)), tile=0.6, emission=0.25
        )
        blinds.face(slats, (-0.02, -0.05, height - drop), (width + 0.04, 0, 0), (0, 0, drop), two_sided=True)
    elif dressing == "curtain":
        stuff = cloth(rng, "curtain").but(texture="folds", tile=(0.8, 2.0), emission=0.1)
        share, low = rng.uniform(0.15, 0.4) * width, rng.choice([-0.15, -0.75])
        for x in (-0.25, width + 0.25 - share - 0.12):
            panel = scene.thing(pose, casts_shadow=False)
            panel.face(
                stuff, (x, -0.09, low), (share + 0.12, 0, 0), (0, 0, height + 0.15 - low), two_sided=True
            )


def hanging(
    scene: Scene, pose: np.ndarray, rng: np.random.Generator, name: str, size: tuple[float, float]
) -> None:
    """A flat thing on the wall plane y = 0 with its lower left corner at the origin."""
    width, height = size
    thing = scene.thing(pose, casts_shadow=False)
    texture = {
        "picture": f"painting_{rng.integers(5)}",
        "whiteboard": "writing",
        "television": _screen(rng),
        "mirror": "screen_off",
        "door": "door",
        "towel": "fabric",
        "paper": "writing",
        "clothes": "folds",
    }[name]
    color = {"door": None, "mirror": (4.0, 4.2, 4.4), "towel": None, "clothes": None}.get(
        name, (1.0, 1.0, 1.0)
    )
    if color is None:
        color = (wooden if name == "door" else cloth)(rng, name).color
    surface = Surface(
        ROOM[name], texture, color, tile=None, emission=0.5 if texture == "screen_on" else 0.0, gloss=0.15
    )
    depth = 0.05 if name in ("television", "clothes", "towel") else 0.025
    thing.box(
        surface.but(texture="plain", color=(0.05, 0.045, 0.04)),
        (0, -depth, 0),
        (width, 0, height),
        front=surface,
        bottom=True,
    )
