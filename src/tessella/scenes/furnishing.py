"""What belongs into bedrooms, living rooms, offices, kitchens and bathrooms, and where."""

from collections.abc import Callable
from functools import partial

import numpy as np

from tessella.scenes import furniture, room_props
from tessella.scenes.camera import stand
from tessella.scenes.classes import ROOM
from tessella.scenes.furniture import Top
from tessella.scenes.people import pedestrian
from tessella.scenes.room_plan import Plan
from tessella.scenes.shapes import Scene, Surface


def _chairs(
    plan: Plan, pose: np.ndarray | None, width: float, depth: float, count: int, office: bool = False
) -> None:
    """Chairs at a table, first at its front."""
    if pose is None:
        return
    rng = plan.rng
    state = rng.bit_generator.state
    places = (
        [(0.0, -depth + 0.1, np.pi)]
        if count == 1
        else [
            (-width / 4, -depth + 0.12, np.pi),
            (width / 4, -depth + 0.12, np.pi),
            (-width / 4, -0.12, 0.0),
            (width / 4, -0.12, 0.0),
        ]
    )
    for x, y, yaw in places[:count]:
        # Every chair of a set looks alike: it is built from the same chance.
        rng.bit_generator.state = state
        turned = yaw + np.random.default_rng(int(1000 * (x + y + 9))).normal(0, 0.15)
        back = -0.5 if yaw else 0.5
        place = pose @ stand(x, y + back, 0, turned)
        if (
            (place[:2, 3] > 0.05).all()
            and place[0, 3] < plan.width - 0.05
            and place[1, 3] < plan.depth - 0.05
        ):
            furniture.chair(plan.scene, place, rng, office)
            plan.floor_taken.append((*(place[:2, 3] - 0.35), *(place[:2, 3] + 0.35)))


def _bedroom(plan: Plan) -> None:
    rng = plan.rng
    for _ in range(1 + (rng.random() < 0.2)):
        width = rng.choice([1.0, 1.5, 1.8])
        pose = plan.along_wall(
            partial(furniture.bed, width=width),
            width,
            2.15,
            1.2,
            2,
            {"clothes": 3, "bag": 2, "lamp": 0, "television": 0},
        )
        for side in (-1, 1):
            if pose is not None and rng.random() < 0.7:
                place = pose @ stand(side * (width / 2 + 0.3), 0)
                if plan.claim(place, 0.45, 0.42, 0.0):
                    tops = furniture.cupboard(
                        plan.scene, place, rng, "night stand", (0.45, 0.4, rng.uniform(0.45, 0.6))
                    )
                    room_props.scatter(plan.scene, place, rng, tops, {"lamp": 6, "books": 2}, 2)
    _cupboards(plan, "dresser", 0.8, (1.1, 0.45, 0.85))
    _cupboards(plan, "cabinet", 0.5, (1.2, 0.55, 1.9))
    _desk(plan, 0.4)
    _shelf(plan, 0.4)
    _tv(plan, 0.35)


def _living_room(plan: Plan) -> None:
    rng = plan.rng
    for _ in range(1 + (rng.random() < 0.5)):
        width = rng.choice([1.0, 1.6, 2.0, 2.3])
        pose = plan.along_wall(
            partial(furniture.sofa, width=width),
            width,
            0.95,
            0.95,
            1,
            {"lamp": 0, "television": 0, "books": 2},
        )
        if pose is not None and rng.random() < 0.7:
            place = pose @ stand(0, -1.35)
            if plan.claim(place, 1.0, 0.6):
                tops = furniture.table(plan.scene, place, rng, "table", (1.0, 0.6, rng.uniform(0.38, 0.5)))
                room_props.scatter(plan.scene, place, rng, tops, {"books": 3, "television": 0}, 4)
    _tv(plan, 0.85)
    _shelf(plan, 0.75)
    _cupboards(plan, "cabinet", 0.5, (1.0, 0.45, 0.9))
    if rng.random() < 0.6:
        plan.along_wall(partial(furniture.chair, office=False), 0.5, 0.5, 1.0)
    if rng.random() < 0.4:
        pose = plan.in_middle(partial(furniture.table, name="table", size=(1.4, 0.8, 0.74)), 1.4, 0.8, 4)
        _chairs(plan, pose, 1.4, 0.8, 4)


def _office(plan: Plan) -> None:
    rng = plan.rng
    _desk(plan, 1.0)
    _desk(plan, 0.7)
    _shelf(plan, 0.9)
    _shelf(plan, 0.5)
    _cupboards(plan, "cabinet", 0.7, (0.8, 0.5, 1.2))
    if rng.random() < 0.6:
        size = rng.uniform(1.2, 2.0), 1.0
        pose = plan.on_wall(size, 1.0)
        if pose is not None:
            room_props.hanging(plan.scene, pose, rng, "whiteboard", size)
    if rng.random() < 0.35:
        pose = plan.in_middle(
            partial(furniture.table, name="table", size=(1.5, 0.9, 0.74)), 1.5, 0.9, 5, {"paper": 4}
        )
        _chairs(plan, pose, 1.5, 0.9, 4, office=True)
    if rng.random() < 0.3:
        width = 1.6
        plan.along_wall(partial(furniture.sofa, width=width), width, 0.95, 0.9, 1)


def _kitchen(plan: Plan) -> None:
    rng = plan.rng
    width = rng.uniform(1.6, 2.6)
    pose = plan.along_wall(
        partial(furniture.cupboard, name="counter", size=(width, 0.6, 0.88)),
        width,
        0.62,
        0.95,
        5,
        {"television": 0.3, "lamp": 0.2, "towel": 3, "otherprop": 4},
    )
    if pose is not None:
        steel = Surface(ROOM["sink"], "metal", (0.35, 0.35, 0.36), gloss=0.5)
        sink = plan.scene.thing(pose, casts_shadow=False)
        sink.box(steel, (-0.3, -0.5, 0.9), (0.3, -0.12, 0.935), top=steel.but(color=(0.12, 0.12, 0.12)))
        sink.cylinder(steel, (0, -0.1, 0.92), (0, -0.1, 1.2), 0.015)
        if rng.random() < 0.8:
            furniture.cupboard(
                plan.scene, pose @ stand(0, 0, 1.45), rng, "cabinet", (width * 0.9, 0.35, 0.65)
            )
    if rng.random() < 0.8:
        plan.along_wall(
            partial(furniture.cupboard, name="refrigerator", size=(0.7, 0.65, 1.75)), 0.7, 0.68, 1.8
        )
    size = rng.uniform(1.1, 1.7), rng.uniform(0.75, 0.95), 0.75
    pose = plan.in_middle(
        partial(furniture.table, name="table", size=size), size[0], size[1], 4, {"television": 0.2}
    )
    _chairs(plan, pose, size[0], size[1], int(rng.integers(2, 5)))
    _shelf(plan, 0.3)
    _tv(plan, 0.15)


def _bathroom(plan: Plan) -> None:
    rng = plan.rng
    plan.along_wall(furniture.bathtub, 1.72, 0.8, 0.6)
    plan.along_wall(furniture.toilet, 0.55, 0.75, 0.9)
    pose = plan.along_wall(
        partial(furniture.cupboard, name="counter", size=(1.1, 0.5, 0.82)),
        1.1,
        0.55,
        2.0,
        3,
        {"towel": 4, "television": 0},
    )
    if pose is not None:
        white = Surface(ROOM["sink"], "plain", (0.75, 0.75, 0.74), gloss=0.4)
        plan.scene.thing(pose, casts_shadow=False).ellipsoid(white, (0, -0.26, 0.88), (0.24, 0.18, 0.08))
        room_props.hanging(plan.scene, pose @ stand(-0.45, 0.03, 1.15), rng, "mirror", (0.9, 0.7))
    for _ in range(2):
        pose = plan.on_wall((0.45, 0.7), 0.9)
        if pose is not None:
            room_props.hanging(plan.scene, pose, rng, "towel", (0.45, 0.7))


FURNISH: dict[str, Callable[[Plan], None]] = {
    "bedroom": _bedroom,
    "living_room": _living_room,
    "office": _office,
    "kitchen": _kitchen,
    "bathroom": _bathroom,
}


def _cupboards(plan: Plan, name: str, chance: float, size: tuple[float, float, float]) -> None:
    if plan.rng.random() < chance:
        width, depth, height = np.array(size) * plan.rng.uniform(0.85, 1.15, 3)
        clutter = 4 if height < 1.4 else 0
        plan.along_wall(
            partial(furniture.cupboard, name=name, size=(width, depth, height)), width, depth, height, clutter
        )


def _desk(plan: Plan, chance: float) -> None:
    if plan.rng.random() < chance:
        width, depth = plan.rng.uniform(1.1, 1.6), plan.rng.uniform(0.6, 0.75)
        pose = plan.along_wall(
            partial(furniture.table, name="desk", size=(width, depth, 0.74)),
            width,
            depth,
            1.2,
            5,
            {"television": 4, "paper": 3, "books": 2},
        )
        _chairs(plan, pose, width, depth, 1, office=plan.rng.random() < 0.65)


def _shelf(plan: Plan, chance: float) -> None:
    if plan.rng.random() < chance:
        width, name = plan.rng.uniform(0.7, 1.3), str(plan.rng.choice(["bookshelf", "bookshelf", "shelves"]))
        plan.along_wall(partial(furniture.bookshelf, width=width, name=name), width, 0.32, 2.0, 1)


def _tv(plan: Plan, chance: float) -> None:
    rng = plan.rng
    if rng.random() >= chance:
        return
    half = rng.uniform(0.45, 0.68)

    def stand_with_set(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
        *_, z = furniture.cupboard(
            scene, pose, rng, "cabinet", (2 * half + 0.3, 0.45, rng.uniform(0.4, 0.65))
        )[0]
        texture = str(rng.choice(["screen_on", "screen_off"]))
        black = Surface(ROOM["television"], "plain", (0.02, 0.02, 0.02))
        screen = black.but(texture=texture, color=(1.0, 1.0, 1.0), tile=None, emission=0.6, gloss=0.5)
        tv = scene.thing(pose)
        tv.box(
            black, (-half, -0.25, z + 0.06), (half, -0.2, z + 0.06 + 1.16 * half), front=screen, bottom=True
        )
        tv.box(black, (-0.2, -0.3, z), (0.2, -0.15, z + 0.06))
        return []

    plan.along_wall(stand_with_set, 2 * half + 0.3, 0.47, 1.5)


def decorate(plan: Plan, kind: str) -> None:
    rng = plan.rng
    for _ in range(int(rng.integers(2, 6))):
        size = rng.uniform(0.3, 0.95), rng.uniform(0.3, 0.7)
        pose = plan.on_wall(size, rng.uniform(1.15, 1.5))
        if pose is not None:
            name = str(
                rng.choice(
                    ["picture", "paper", "mirror", "clothes", "television"], p=[0.7, 0.07, 0.1, 0.08, 0.05]
                )
            )
            room_props.hanging(plan.scene, pose, rng, name, size)
    for _ in range(int(rng.integers(1, 4)) if kind != "bathroom" else 0):
        extra = rng.choice(["chair", "cabinet", "dresser", "shelf", "armchair", "side table", "stool"])
        if extra == "chair":
            plan.along_wall(partial(furniture.chair, office=False), 0.5, 0.5, 1.0, 1)
        elif extra == "shelf":
            _shelf(plan, 1.0)
        elif extra == "armchair":
            plan.along_wall(partial(furniture.sofa, width=0.95), 0.95, 0.95, 0.95, 1)
        elif extra == "stool":
            plan.in_middle(furniture.stool, 0.9, 0.45)
        elif extra == "side table":
            plan.along_wall(partial(furniture.table, name="table", size=(0.6, 0.5, 0.6)), 0.6, 0.5, 1.0, 2)
        else:
            _cupboards(plan, str(extra), 1.0, (0.9, 0.45, 1.0))
    if rng.random() < 0.15:
        plan.along_wall(partial(furniture.pillar, height=plan.height), 0.5, 0.3, plan.height)
    if rng.random() < 0.2:
        plan.in_middle(_visitor, 0.6, 0.5)
    if rng.random() < 0.5:
        rug = Surface(
            ROOM["floor mat"],
            str(rng.choice(["rug", "carpet", "weave"])),
            tuple(rng.uniform(0.2, 0.9, 3)),
            tile=None,
        )
        spread = rng.uniform((1.0, 0.8), (2.2, 1.6))
        x, y = rng.uniform(
            (0.3, 0.3), (max(0.4, plan.width - spread[0] - 0.3), max(0.4, plan.depth - spread[1] - 0.3))
        )
        plan.scene.thing(casts_shadow=False).face(rug, (x, y, 0.012), (spread[0], 0, 0), (0, spread[1], 0))
    if rng.random() < 0.35 and kind != "bathroom":
        plan.along_wall(room_props.floor_lamp, 0.45, 0.45, 1.9)
    for _ in range(int(rng.integers(1, 6))):
        name = str(rng.choice(["box", "bag", "books", "clothes", "otherprop"]))
        plan.in_middle(partial(room_props.prop, name=name), 0.4, 0.3)


def _visitor(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
    pedestrian(scene, pose, rng, np.zeros(scene.frames), ROOM["person"])
    return []
