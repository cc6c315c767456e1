"""The plan of a room: walls, what stands along them and in the middle, light, and the camera's path."""

from collections.abc import Callable

import numpy as np

from tessella.datasets.kinect import COLOR_CAMERA
from tessella.scenes import furniture, room_props
from tessella.scenes.camera import Camera, look, stand
from tessella.scenes.classes import ROOM
from tessella.scenes.furniture import Top
from tessella.scenes.kinect_raw import camera_matrix
from tessella.scenes.lighting import Light, Source
from tessella.scenes.shapes import Scene, Surface
from tessella.scenes.world import World

ROOM_TYPES = ("bedroom", "living_room", "office", "kitchen", "bathroom")
_TYPE_ODDS = (0.28, 0.28, 0.2, 0.18, 0.06)
_FRAME_TIME = 0.1
_PAINTS = (
    (0.65, 0.62, 0.55),
    (0.7, 0.7, 0.68),
    (0.5, 0.55, 0.45),
    (0.45, 0.52, 0.6),
    (0.6, 0.5, 0.38),
    (0.55, 0.35, 0.3),
    (0.3, 0.33, 0.36),
)
_FLOORS = (("parquet", 2.0), ("carpet", 1.0), ("tiles", 1.6), ("wood", 1.5))

Builder = Callable[[Scene, np.ndarray, np.random.Generator], list[Top]]


def room_type(rng: np.random.Generator) -> str:
    """The kind of room that ``room`` will build from the same fresh generator."""
    return str(rng.choice(ROOM_TYPES, p=_TYPE_ODDS))


class _Plan:
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
        odds: dict | None = None,
    ) -> np.ndarray | None:
        """Stand a piece with its back to a wall where there is room, with things on top; its pose, if it fits."""
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
        self, build: Builder, width: float, depth: float, clutter: int = 0, odds: dict | None = None
    ) -> np.ndarray | None:
        """Stand a piece somewhere on the floor; its pose, if it fits."""
        for _ in range(14):
            place = self.rng.uniform((0.8, 0.9), (self.width - 0.8, self.depth - 0.6))
            yaw = self.rng.choice([0, 1, 2, 3]) * np.pi / 2 + self.rng.normal(0, 0.12)
            pose = stand(*place, 0, yaw)
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


def room(rng: np.random.Generator, frames: int, labelled: int, height: int, width: int) -> World:
    """A furnished room, seen from near one of its walls; the camera is in the middle of its path when labelled."""
    kind = room_type(rng)
    plan = _Plan(rng, frames)
    _shell(plan)
    day = rng.random() < 0.7
    windows = _windows(plan, day)
    _FURNISH[kind](plan)
    _decorate(plan, kind)
    cameras = _path(plan, (np.arange(frames) - labelled) * _FRAME_TIME, height, width)
    tint = 1 + rng.normal(0, 0.08, 3)
    return World(
        plan.scene,
        cameras,
        _lamps(plan, windows, day),
        exposure=rng.uniform(1.3, 2.8),
        white_balance=tint / tint.mean(),
        noise=rng.uniform(0.03, 0.09),
        empty_label=0,
    )


def _shell(plan: _Plan) -> None:
    rng, scene = plan.rng, plan.scene
    w, d, h = plan.width, plan.depth, plan.height
    color = np.clip(np.array(_PAINTS[rng.integers(len(_PAINTS))]) * rng.uniform(0.8, 1.15), 0, 1)
    paper = str(
        rng.choice(
            ["stucco", "plain", "wallpaper_stripes", "wallpaper_florals", "brick"],
            p=[0.35, 0.35, 0.14, 0.1, 0.06],
        )
    )
    paint = Surface(ROOM["wall"], paper, tuple(color), tile=1.2)
    accent = paint.but(color=tuple(np.clip(_PAINTS[rng.integers(len(_PAINTS))], 0, 1)), texture="stucco")
    for side in range(4):
        wall = scene.thing(plan.wall(side, 0), casts_shadow=False)
        surface = accent if side == 0 and rng.random() < 0.3 else paint
        wall.face(surface, (0, 0, 0), (plan.length(side), 0, 0), (0, 0, h))
        skirting = paint.but(texture="plain", color=(0.6, 0.6, 0.58))
        wall.face(skirting, (0, -0.015, 0), (plan.length(side), 0, 0), (0, 0, 0.09))
    texture, tile = _FLOORS[rng.integers(len(_FLOORS))]
    tone = (
        np.array(furniture.CLOTHS[rng.integers(len(furniture.CLOTHS))])
        if texture == "carpet"
        else rng.uniform(0.15, 0.55) * np.array([1, 0.8, 0.6])
    )
    if texture == "tiles":
        tone = rng.uniform(0.3, 0.65) * np.array([1, 0.97, 0.93])
    floor = Surface(
        ROOM["floor"],
        texture,
        tuple(np.clip(tone, 0.05, 1)),
        tile=tile,
        gloss=0.1 if texture != "carpet" else 0.0,
    )
    scene.thing(casts_shadow=False).face(floor, (0, 0, 0), (w, 0, 0), (0, d, 0))
    tone = rng.uniform(0.6, 0.8)
    ceiling = Surface(ROOM["ceiling"], "stucco", (tone, tone, tone * rng.uniform(0.93, 1)), tile=2.0)
    top = scene.thing(casts_shadow=False)
    top.face(ceiling, (0, d, h), (w, 0, 0), (0, -d, 0))
    glow = ceiling.but(label=ROOM["lamp"], texture="plain", color=(0.9, 0.88, 0.8), emission=1.5)
    lamp = scene.thing(casts_shadow=False)
    lamp.ellipsoid(glow, (w / 2, d / 2, h - 0.04), (0.22, 0.22, 0.09))
    side = int(rng.choice([1, 2, 3]))
    along = rng.uniform(0.3, plan.length(side) - 1.3)
    room_props.hanging(scene, plan.wall(side, along), rng, "door", (0.9, 2.05))
    plan.wall_taken.append((side, along - 0.1, along + 1.0, 0, 2.1))


def _windows(plan: _Plan, day: bool) -> list[np.ndarray]:
    rng, centres = plan.rng, []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.15, 0.55, 0.3]))):
        size = rng.uniform(0.8, 1.8), rng.uniform(0.9, 1.3)
        pose = plan.on_wall(size, rng.uniform(0.75, 0.95))
        if pose is not None:
            room_props.window(plan.scene, pose, rng, size, int(rng.integers(2)) if day else 2)
            centres.append((pose @ (size[0] / 2, -0.3, size[1] / 2, 1))[:3])
    return centres


def _chairs(
    plan: _Plan, pose: np.ndarray | None, width: float, depth: float, count: int, office: bool = False
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


def _bedroom(plan: _Plan) -> None:
    rng = plan.rng
    for _ in range(1 + (rng.random() < 0.2)):
        width = rng.choice([1.0, 1.5, 1.8])
        pose = plan.along_wall(
            lambda *a, w=width: furniture.bed(*a, w),
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


def _living_room(plan: _Plan) -> None:
    rng = plan.rng
    for _ in range(1 + (rng.random() < 0.5)):
        width = rng.choice([1.0, 1.6, 2.0, 2.3])
        pose = plan.along_wall(
            lambda *a, w=width: furniture.sofa(*a, w),
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
        plan.along_wall(lambda *a: furniture.chair(*a, False), 0.5, 0.5, 1.0)
    if rng.random() < 0.4:
        pose = plan.in_middle(lambda *a: furniture.table(*a, "table", (1.4, 0.8, 0.74)), 1.4, 0.8, 4)
        _chairs(plan, pose, 1.4, 0.8, 4)


def _office(plan: _Plan) -> None:
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
            lambda *a: furniture.table(*a, "table", (1.5, 0.9, 0.74)), 1.5, 0.9, 5, {"paper": 4}
        )
        _chairs(plan, pose, 1.5, 0.9, 4, office=True)
    if rng.random() < 0.3:
        width = 1.6
        plan.along_wall(lambda *a: furniture.sofa(*a, width), width, 0.95, 0.9, 1)


def _kitchen(plan: _Plan) -> None:
    rng = plan.rng
    width = rng.uniform(1.6, 2.6)
    pose = plan.along_wall(
        lambda *a: furniture.cupboard(*a, "counter", (width, 0.6, 0.88)),
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
        plan.along_wall(lambda *a: furniture.cupboard(*a, "refrigerator", (0.7, 0.65, 1.75)), 0.7, 0.68, 1.8)
    size = rng.uniform(1.1, 1.7), rng.uniform(0.75, 0.95), 0.75
    pose = plan.in_middle(
        lambda *a: furniture.table(*a, "table", size), size[0], size[1], 4, {"television": 0.2}
    )
    _chairs(plan, pose, size[0], size[1], int(rng.integers(2, 5)))
    _shelf(plan, 0.3)
    _tv(plan, 0.15)


def _bathroom(plan: _Plan) -> None:
    rng = plan.rng
    plan.along_wall(furniture.bathtub, 1.72, 0.8, 0.6)
    plan.along_wall(furniture.toilet, 0.55, 0.75, 0.9)
    pose = plan.along_wall(
        lambda *a: furniture.cupboard(*a, "counter", (1.1, 0.5, 0.82)),
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


_FURNISH: dict[str, Callable[[_Plan], None]] = {
    "bedroom": _bedroom,
    "living_room": _living_room,
    "office": _office,
    "kitchen": _kitchen,
    "bathroom": _bathroom,
}


def _cupboards(plan: _Plan, name: str, chance: float, size: tuple[float, float, float]) -> None:
    if plan.rng.random() < chance:
        width, depth, height = np.array(size) * plan.rng.uniform(0.85, 1.15, 3)
        clutter = 4 if height < 1.4 else 0
        plan.along_wall(
            lambda *a: furniture.cupboard(*a, name, (width, depth, height)), width, depth, height, clutter
        )


def _desk(plan: _Plan, chance: float) -> None:
    if plan.rng.random() < chance:
        width, depth = plan.rng.uniform(1.1, 1.6), plan.rng.uniform(0.6, 0.75)
        pose = plan.along_wall(
            lambda *a: furniture.table(*a, "desk", (width, depth, 0.74)),
            width,
            depth,
            1.2,
            5,
            {"television": 4, "paper": 3, "books": 2},
        )
        _chairs(plan, pose, width, depth, 1, office=plan.rng.random() < 0.65)


def _shelf(plan: _Plan, chance: float) -> None:
    if plan.rng.random() < chance:
        width, name = plan.rng.uniform(0.7, 1.3), str(plan.rng.choice(["bookshelf", "bookshelf", "shelves"]))
        plan.along_wall(lambda *a: furniture.bookshelf(*a, width, name), width, 0.32, 2.0, 1)


def _tv(plan: _Plan, chance: float) -> None:
    rng = plan.rng
    if rng.random() >= chance:
        return
    half = rng.uniform(0.45, 0.68)

    def stand_with_set(scene: Scene, pose: np.ndarray, rng: np.random.Generator) -> list[Top]:
        x0, x1, y0, y1, z = furniture.cupboard(
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


def _decorate(plan: _Plan, kind: str) -> None:
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
        extra = rng.choice(["chair", "cabinet", "dresser", "shelf", "armchair", "side table"])
        if extra == "chair":
            plan.along_wall(lambda *a: furniture.chair(*a, False), 0.5, 0.5, 1.0, 1)
        elif extra == "shelf":
            _shelf(plan, 1.0)
        elif extra == "armchair":
            plan.along_wall(lambda *a: furniture.sofa(*a, 0.95), 0.95, 0.95, 0.95, 1)
        elif extra == "side table":
            plan.along_wall(lambda *a: furniture.table(*a, "table", (0.6, 0.5, 0.6)), 0.6, 0.5, 1.0, 2)
        else:
            _cupboards(plan, str(extra), 1.0, (0.9, 0.45, 1.0))
    if rng.random() < 0.5:
        rug = Surface(
            ROOM["floor mat"],
            str(rng.choice(["rug", "carpet", "weave"])),
            tuple(rng.uniform(0.2, 0.9, 3)),
            tile=None,
        )
        size = rng.uniform((1.0, 0.8), (2.2, 1.6))
        x, y = rng.uniform(
            (0.3, 0.3), (max(0.4, plan.width - size[0] - 0.3), max(0.4, plan.depth - size[1] - 0.3))
        )
        plan.scene.thing(casts_shadow=False).face(rug, (x, y, 0.012), (size[0], 0, 0), (0, size[1], 0))
    if rng.random() < 0.35 and kind != "bathroom":
        plan.along_wall(lambda *a: room_props.floor_lamp(*a) or [], 0.45, 0.45, 1.9)
    for _ in range(int(rng.integers(1, 6))):
        name = str(rng.choice(["box", "bag", "books", "clothes", "otherprop"]))
        plan.in_middle(lambda *a, name=name: room_props.prop(*a, name) or [], 0.4, 0.3)


def _lamps(plan: _Plan, windows: list[np.ndarray], day: bool) -> Light:
    rng = plan.rng
    warm = np.array([1.0, 0.86, 0.66]) if rng.random() < 0.6 else np.array([0.95, 1.0, 1.0])
    power = rng.uniform(0.7, 1.3) * (0.6 if day and windows else 1.0)
    centre = np.array([plan.width / 2, plan.depth / 2, plan.height - 0.25, 1.0])
    centre[:2] += rng.uniform(-0.6, 0.6, 2)
    sources = [Source(centre, warm * power)]
    if day:
        sources += [
            Source(np.append(place, 1.0), np.array([0.75, 0.88, 1.0]) * rng.uniform(0.6, 1.5))
            for place in windows
        ]
    fill = rng.uniform(0.22, 0.4) * (warm + 1) / 2
    return Light(
        sources=tuple(sources),
        shadow=rng.uniform(0.4, 0.7),
        from_above=fill,
        from_below=fill * 0.75,
        zenith=np.zeros(3),
        horizon=np.zeros(3),
        walls=(np.zeros(3), np.array([plan.width, plan.depth, plan.height])),
    )


def _path(plan: _Plan, times: np.ndarray, height: int, width: int) -> list[Camera]:
    """A hand-held walk near a wall or corner, looking across the room."""
    rng = plan.rng
    matrix = camera_matrix(COLOR_CAMERA, height, width)
    best, most = np.array([plan.width / 2, 0.5]), -np.inf
    for _ in range(30):
        place = rng.uniform((0.35, 0.3), (plan.width - 0.35, min(1.6, plan.depth / 2)))
        boxes = np.array(plan.floor_taken).reshape(-1, 4)
        gap = np.maximum(np.maximum(boxes[:, :2] - place, place - boxes[:, 2:]), 0)
        clear = np.append(np.linalg.norm(gap, axis=1), 1.0).min()
        score = min(clear, 0.7) - 0.15 * place[1]
        if score > most:
            best, most = place, score
    target = np.array([plan.width / 2, plan.depth * 0.65]) + rng.uniform(-0.9, 0.9, 2)
    yaw, pitch = np.arctan2(best[0] - target[0], target[1] - best[1]), rng.normal(-0.2, 0.11)
    eye, roll = rng.uniform(1.25, 1.65), rng.normal(0, 0.025)
    drift, turn = rng.uniform(-0.25, 0.25, 2), rng.uniform(-0.15, 0.15, 2)
    phase = rng.uniform(0, 6.3, 6)
    cameras = []
    for time in times:
        sway = np.sin(np.array([1.1, 1.7, 2.3, 1.3, 1.9, 2.9]) * time + phase) - np.sin(phase)
        place = best + 0.35 * np.tanh(drift * time / 0.35) + 0.02 * sway[:2]
        position = np.array(
            [*np.clip(place, 0.15, (plan.width - 0.15, plan.depth - 0.15)), eye + 0.02 * sway[2]]
        )
        heading, tilt = yaw + turn[0] * time + 0.02 * sway[3], pitch + 0.4 * turn[1] * time + 0.015 * sway[4]
        cameras.append(Camera(matrix, look(position, heading, tilt, roll + 0.01 * sway[5]), height, width))
    return cameras
