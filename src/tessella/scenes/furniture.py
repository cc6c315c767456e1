"""Furniture. Its back at y = 0, its front at negative y, its feet at z = 0, its middle at x = 0."""

import numpy as np

from tessella.scenes.classes import ROOM
from tessella.scenes.shapes import Scene, Surface, Thing

Top = tuple[float, float, float, float, float]
"""A surface to put things on: x from-to, y from-to, z, in the coordinates of the piece."""

_WOODS = (
    (0.35, 0.2, 0.1),
    (0.2, 0.1, 0.05),
    (0.5, 0.36, 0.2),
    (0.65, 0.6, 0.52),
    (0.08, 0.06, 0.05),
    (0.42, 0.28, 0.2),
)
CLOTHS = (
    (0.5, 0.42, 0.32),
    (0.12, 0.14, 0.22),
    (0.35, 0.08, 0.07),
    (0.1, 0.2, 0.12),
    (0.6, 0.57, 0.5),
    (0.06, 0.06, 0.07),
    (0.2, 0.3, 0.42),
    (0.45, 0.3, 0.14),
    (0.33, 0.3, 0.3),
)
_WEAVES = ("fabric", "weave", "leather", "cloth_stripes", "checks", "wallpaper_florals", "carpet")


def wooden(rng: np.random.Generator, name: str) -> Surface:
    """Painted or raw wood."""
    color = np.array(_WOODS[rng.integers(len(_WOODS))]) * rng.uniform(0.7, 1.3)
    return Surface(ROOM[name], "wood", tuple(np.clip(color, 0, 1)), tile=0.9, gloss=0.12)


def cloth(rng: np.random.Generator, name: str) -> Surface:
    """Any woven or leathery stuff."""
    color = np.array(CLOTHS[rng.integers(len(CLOTHS))]) * rng.uniform(0.7, 1.3)
    return Surface(ROOM[name], str(rng.choice(_WEAVES)), tuple(np.clip(color, 0, 1)), tile=0.5)


def _legs(
    thing: Thing,
    surface: Surface,
    low: tuple[float, float],
    high: tuple[float, float],
    top: float,
    thick: float,
) -> None:
    for x in (low[0], high[0] - thick):
        for y in (low[1], high[1] - thick):
            thing.box(surface, (x, y, 0), (x + thick, y + thick, top))


def bed(scene: Scene, pose: np.ndarray, rng: np.random.Generator, width: float) -> list[Top]:
    """A frame with headboard, mattress, blanket and pillows; 2.1 m long."""
    thing = scene.thing(pose)
    frame, sheet = wooden(rng, "bed"), cloth(rng, "bed")
    half, height = width / 2, rng.uniform(0.42, 0.6)
    thing.box(frame, (-half, -0.06, 0), (half, 0, rng.uniform(0.8, 1.2)))
    thing.box(frame, (-half, -2.1, 0.1), (half, -0.06, 0.3))
    linen = sheet.but(texture="fabric", color=(0.7, 0.68, 0.64))
    thing.box(linen, (-half + 0.03, -2.07, 0.3), (half - 0.03, -0.06, height))
    thing.box(
        sheet.but(tile=0.8), (-half, -2.1, height - 0.22), (half, -rng.uniform(0.5, 0.9), height + 0.05)
    )
    case = cloth(rng, "pillow") if rng.random() < 0.5 else linen.but(label=ROOM["pillow"])
    for x in (-half / 2, half / 2) if width > 1.2 else (0.0,):
        scene.thing(pose, casts_shadow=False).ellipsoid(
            case, (x, -0.32, height + 0.1), (min(0.34, half * 0.48), 0.22, 0.11)
        )
    return [(-half + 0.2, half - 0.2, -1.8, -1.0, height + 0.05)]


def sofa(scene: Scene, pose: np.ndarray, rng: np.random.Generator, width: float) -> list[Top]:
    """Seat, back, arms and cushions; 0.9 m deep."""
    thing = scene.thing(pose)
    stuff = cloth(rng, "sofa")
    half, seat, back = width / 2, rng.uniform(0.4, 0.46), rng.uniform(0.75, 0.95)
    thing.box(stuff, (-half, -0.9, 0.06), (half, 0, seat - 0.12))
    thing.frustum(stuff, (-half, -0.28, 0.06), (half, 0, back), 0.1, 0, 0)
    arm = rng.uniform(0.14, 0.22)
    for x in (-half, half - arm):
        thing.box(stuff, (x, -0.9, 0.06), (x + arm, 0, seat + 0.18))
    count = max(1, round((width - 2 * arm) / 0.7))
    step = (width - 2 * arm) / count
    for number in range(count):
        x = -half + arm + number * step
        thing.box(stuff, (x + 0.01, -0.88, seat - 0.12), (x + step - 0.01, -0.24, seat))
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(-half + arm + 0.2, half - arm - 0.2)
        scene.thing(pose, casts_shadow=False).ellipsoid(
            cloth(rng, "pillow"), (x, -0.36, seat + 0.19), (0.22, 0.1, 0.19)
        )
    return [(-half + 0.3, half - 0.3, -0.75, -0.45, seat)]


def chair(scene: Scene, pose: np.ndarray, rng: np.random.Generator, office: bool) -> list[Top]:
    """A wooden or padded chair, or one on a swivel foot; half a metre wide and deep."""
    thing = scene.thing(pose)
    frame = wooden(rng, "chair")
    pad = cloth(rng, "chair") if rng.random() < 0.6 else frame
    seat, back = rng.uniform(0.43, 0.48), rng.uniform(0.85, 1.05)
    if office:
        metal = frame.but(texture="metal", color=(0.05, 0.05, 0.05))
        thing.cylinder(metal, (0, -0.25, 0.08), (0, -0.25, seat), 0.035)
        for angle in np.arange(5) * 1.2566:
            thing.cylinder(
                metal, (0, -0.25, 0.1), (0.28 * np.cos(angle), -0.25 + 0.28 * np.sin(angle), 0.05), 0.03
            )
        thing.box(pad, (-0.24, -0.5, seat - 0.04), (0.24, -0.02, seat + 0.05), bottom=True)
        thing.box(pad, (-0.22, -0.06, seat + 0.16), (0.22, 0, back), bottom=True)
        thing.box(metal, (-0.03, -0.04, seat), (0.03, 0, seat + 0.2))
    else:
        thing.box(pad, (-0.22, -0.45, seat - 0.05), (0.22, 0, seat), bottom=True)
        _legs(thing, frame, (-0.22, -0.45), (0.22, 0), seat - 0.05, 0.035)
        if rng.random() < 0.5:
            thing.box(pad, (-0.22, -0.04, seat + 0.12), (0.22, 0, back), bottom=True)
        else:
            slats = frame.but(texture="bars", tile=(0.44, back - seat))
            thing.face(slats, (-0.22, -0.02, seat), (0.44, 0, 0), (0, 0, back - seat), two_sided=True)
        for x in (-0.22, 0.185):
            thing.box(frame, (x, -0.035, seat), (x + 0.035, 0, back))
    return [(-0.12, 0.12, -0.35, -0.15, seat)] if not office else []


def table(
    scene: Scene, pose: np.ndarray, rng: np.random.Generator, name: str, size: tuple[float, float, float]
) -> list[Top]:
    """A top on four legs; a desk has a chest of drawers on one side. size: width, depth, height."""
    thing = scene.thing(pose)
    top = wooden(rng, name)
    width, depth, height = size
    half = width / 2
    thing.box(top, (-half, -depth, height - 0.04), (half, 0, height), bottom=True)
    _legs(thing, top, (-half + 0.03, -depth + 0.03), (half - 0.03, -0.03), height - 0.04, 0.05)
    if name == "desk":
        chest = top.but(texture="drawers_3", tile=None)
        thing.box(top, (half - 0.42, -depth + 0.05, 0.05), (half - 0.03, -0.04, height - 0.04), front=chest)
    return [(-half + 0.12, half - 0.12, -depth + 0.12, -0.12, height)]


def cupboard(
    scene: Scene, pose: np.ndarray, rng: np.random.Generator, name: str, size: tuple[float, float, float]
) -> list[Top]:
    """A box with doors or drawers in front: cabinet, dresser, night stand, counter, refrigerator."""
    thing = scene.thing(pose)
    side = wooden(rng, name)
    width, depth, height = size
    if name == "refrigerator":
        tone = rng.choice([0.75, 0.45, 0.12])
        side = side.but(texture="metal", color=(tone, tone, tone), gloss=0.3)
    front = side.but(
        texture={"refrigerator": "door", "night stand": "drawers_3", "dresser": "drawers_6"}.get(
            name, "doors_2"
        )
    )
    if rng.random() < 0.3 and name in ("cabinet", "counter"):
        front = front.but(texture="drawers_6")
    tile = (min(width, 1.0), height) if name in ("counter", "cabinet") else (width, height)
    thing.box(side, (-width / 2, -depth, 0), (width / 2, 0, height), front=front.but(tile=tile))
    if name == "counter":
        tone = rng.uniform(0.1, 0.6)
        slab = side.but(texture="concrete", color=(tone, tone, tone), gloss=0.2)
        thing.box(slab, (-width / 2 - 0.01, -depth - 0.03, height), (width / 2 + 0.01, 0, height + 0.04))
        height += 0.04
    return [(-width / 2 + 0.12, width / 2 - 0.12, -depth + 0.1, -0.1, height)]


def bookshelf(scene: Scene, pose: np.ndarray, rng: np.random.Generator, width: float, name: str) -> list[Top]:
    """Boards between two sides, filled with books, here and there with boxes."""
    thing = scene.thing(pose)
    board = wooden(rng, name)
    half, rows = width / 2, int(rng.integers(3, 7))
    height, depth = rows * 0.34 + 0.05, 0.3
    for x in (-half, half - 0.025):
        thing.box(board, (x, -depth, 0), (x + 0.025, 0, height))
    thing.face(board, (-half, -0.01, 0), (width, 0, 0), (0, 0, height))
    for row in range(rows + 1):
        z = row * 0.34
        thing.box(board, (-half, -depth, z), (half, 0, z + 0.025), bottom=True)
        if row == rows:
            break
        start = -half + 0.04
        while start < half - 0.15:
            end = min(start + rng.uniform(0.15, 0.6), half - 0.04)
            if rng.random() < 0.72:
                spines = Surface(ROOM["books"], "books_1", tuple(rng.uniform(0.6, 1, 3)), tile=(0.55, 0.28))
                books = scene.thing(pose, casts_shadow=False)
                books.box(
                    spines,
                    (start, -depth + rng.uniform(0.01, 0.08), z + 0.025),
                    (end, -0.05, z + rng.uniform(0.22, 0.3)),
                )
            elif rng.random() < 0.4:
                carton = Surface(ROOM["box"], "stucco", tuple(rng.uniform(0.1, 0.6, 3)))
                scene.thing(pose, casts_shadow=False).box(
                    carton, (start, -depth + 0.03, z + 0.025), (end, -0.05, z + 0.2)
                )
            start = end + 0.02
    return [(-half + 0.15, half - 0.15, -0.22, -0.08, height)]


def bathtub(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
    """A white tub, 1.7 m by 0.75 m, with a curtain on a rail now and then."""
    thing = scene.thing(pose)
    white = Surface(ROOM["bathtub"], "plain", (0.75, 0.75, 0.74), gloss=0.4)
    for low, high in (
        ((-0.85, -0.75), (0.85, -0.67)),
        ((-0.85, -0.08), (0.85, 0)),
        ((-0.85, -0.67), (-0.75, -0.08)),
        ((0.75, -0.67), (0.85, -0.08)),
    ):
        thing.box(white, (*low, 0), (*high, 0.55))
    thing.face(white, (-0.75, -0.67, 0.2), (1.5, 0, 0), (0, 0.59, 0))
    if rng.random() < 0.6:
        curtain = cloth(rng, "shower curtain").but(texture="folds", tile=(0.9, 2.0))
        scene.thing(pose, casts_shadow=False).face(
            curtain, (-0.85, -0.78, 0.25), (rng.uniform(0.5, 1.1), 0, 0), (0, 0, 1.75), two_sided=True
        )
    return []


def toilet(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
    """Tank, bowl and lid."""
    thing = scene.thing(pose)
    white = Surface(ROOM["toilet"], "plain", (0.78, 0.78, 0.77), gloss=0.4)
    thing.box(white, (-0.22, -0.2, 0.35), (0.22, 0, 0.8))
    thing.ellipsoid(white, (0, -0.42, 0.3), (0.2, 0.27, 0.15))
    thing.cylinder(white, (0, -0.36, 0), (0, -0.36, 0.3), 0.13)
    return []


def stool(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
    """An ottoman or bench that is no chair."""
    width, height = rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.5)
    scene.thing(pose).box(cloth(rng, "other furniture"), (-width / 2, -0.42, 0), (width / 2, 0, height))
    return []


def pillar(scene: Scene, pose: np.ndarray, rng: np.random.Generator, height: float) -> list[Top]:
    """A column or chimney breast from floor to ceiling."""
    color = tuple(rng.uniform(0.3, 0.7) * rng.uniform(0.85, 1.0, 3))
    stone = Surface(ROOM["other structure"], str(rng.choice(["brick", "stucco", "slabs"])), color, tile=1.0)
    scene.thing(pose).box(stone, (-0.25, -0.3, 0), (0.25, 0, height))
    return []
