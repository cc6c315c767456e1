"""A room: its shell and windows, its light, and the camera's path."""

import numpy as np

from tessella.datasets.kinect import COLOR_CAMERA, camera_matrix
from tessella.scenes import furniture, room_props
from tessella.scenes.camera import Camera, look
from tessella.scenes.classes import ROOM
from tessella.scenes.furnishing import FURNISH, decorate
from tessella.scenes.lighting import Light, Source
from tessella.scenes.room_plan import Plan
from tessella.scenes.shapes import Surface
from tessella.scenes.world import World

_TYPE_ODDS = (0.28, 0.28, 0.2, 0.18, 0.06)
INTERVAL = 0.1
"""Seconds from frame to frame: the window of NYUDv2's authors takes every third of 30 a second."""

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


def room_type(rng: np.random.Generator) -> str:
    """The kind of room that ``room`` will build from the same fresh generator."""
    return str(rng.choice(list(FURNISH), p=_TYPE_ODDS))


def build(rng: np.random.Generator, times: np.ndarray, height: int, width: int) -> World:
    """A furnished room, seen from near one of its walls; times of its frames in seconds, 0 for the labelled one."""
    kind = room_type(rng)
    plan = Plan(rng, len(times))
    _shell(plan)
    day = rng.random() < 0.7
    windows = _windows(plan, day)
    FURNISH[kind](plan)
    decorate(plan, kind)
    cameras = _path(plan, times, height, width)
    tint = 1 + rng.normal(0, 0.08, 3)
    return World(
        plan.scene,
        cameras,
        _lamps(plan, windows, day),
        exposure=rng.uniform(1.3, 2.8),
        white_balance=tint / tint.mean(),
        noise=rng.uniform(0.02, 0.065),
        empty_label=0,
    )


def _shell(plan: Plan) -> None:
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
    white = rng.uniform(0.6, 0.8)
    ceiling = Surface(ROOM["ceiling"], "stucco", (white, white, white * rng.uniform(0.93, 1)), tile=2.0)
    top = scene.thing(casts_shadow=False)
    top.face(ceiling, (0, d, h), (w, 0, 0), (0, -d, 0))
    glow = ceiling.but(label=ROOM["lamp"], texture="plain", color=(0.9, 0.88, 0.8), emission=1.5)
    lamp = scene.thing(casts_shadow=False)
    lamp.ellipsoid(glow, (w / 2, d / 2, h - 0.04), (0.22, 0.22, 0.09))
    side = int(rng.choice([1, 2, 3]))
    along = rng.uniform(0.3, plan.length(side) - 1.3)
    room_props.hanging(scene, plan.wall(side, along), rng, "door", (0.9, 2.05))
    plan.wall_taken.append((side, along - 0.1, along + 1.0, 0, 2.1))


def _windows(plan: Plan, day: bool) -> list[np.ndarray]:
    rng, centres = plan.rng, []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.15, 0.55, 0.3]))):
        size = rng.uniform(0.8, 1.8), rng.uniform(0.9, 1.3)
        pose = plan.on_wall(size, rng.uniform(0.75, 0.95))
        if pose is not None:
            room_props.window(plan.scene, pose, rng, size, int(rng.integers(2)) if day else 2)
            centres.append((pose @ (size[0] / 2, -0.3, size[1] / 2, 1))[:3])
    return centres


def _lamps(plan: Plan, windows: list[np.ndarray], day: bool) -> Light:
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


def _path(plan: Plan, times: np.ndarray, height: int, width: int) -> list[Camera]:
    """A hand-held walk near a wall or corner, looking across the room."""
    rng = plan.rng
    matrix = camera_matrix(COLOR_CAMERA, height, width)
    best, most = np.array([plan.width / 2, 0.5]), -np.inf
    for _ in range(30):
        place = rng.uniform((0.35, 0.3), (plan.width - 0.35, min(1.6, plan.depth / 2)))
        score = min(_clearance(plan, place), 0.7) - 0.15 * place[1]
        if score > most:
            best, most = place, score
    target = np.array([plan.width / 2, plan.depth * 0.65]) + rng.uniform(-0.9, 0.9, 2)
    yaw, pitch = np.arctan2(best[0] - target[0], target[1] - best[1]), rng.normal(-0.2, 0.11)
    eye, roll = rng.uniform(1.25, 1.65), rng.normal(0, 0.025)
    drift, turn = rng.uniform(-0.25, 0.25, 2), rng.uniform(-0.15, 0.15, 2)
    phase = rng.uniform(0, 6.3, 6)
    limits = {way: _time_to_walk(plan, best, way * drift) for way in (-1, 1)}
    cameras = []
    for time in times:
        limit = limits[1 if time > 0 else -1]
        walked = time if limit == np.inf else limit * np.tanh(time / max(limit, 1e-6))
        sway = np.sin(np.array([1.1, 1.7, 2.3, 1.3, 1.9, 2.9]) * time + phase) - np.sin(phase)
        place = _walk(best, drift, walked) + 0.02 * sway[:2]
        position = np.array(
            [*np.clip(place, 0.15, (plan.width - 0.15, plan.depth - 0.15)), eye + 0.02 * sway[2]]
        )
        heading, tilt = yaw + turn[0] * time + 0.02 * sway[3], pitch + 0.4 * turn[1] * time + 0.015 * sway[4]
        cameras.append(Camera(matrix, look(position, heading, tilt, roll + 0.01 * sway[5]), height, width))
    return cameras


def _walk(start: np.ndarray, drift: np.ndarray, time: float) -> np.ndarray:
    return start + 0.35 * np.tanh(drift * time / 0.35)


def _time_to_walk(plan: Plan, start: np.ndarray, drift: np.ndarray, margin: float = 0.15) -> float:
    """Seconds until the walk comes near furniture; infinity if it never does."""
    for time in np.arange(0.2, 6, 0.2):
        if _clearance(plan, _walk(start, drift, time)) < margin:
            return time - 0.2
    return np.inf


def _clearance(plan: Plan, place: np.ndarray) -> float:
    """Metres to the nearest piece of furniture, 1 at most."""
    boxes = np.array(plan.floor_taken).reshape(-1, 4)
    gap = np.maximum(np.maximum(boxes[:, :2] - place, place - boxes[:, 2:]), 0)
    return float(np.append(np.linalg.norm(gap, axis=1), 1.0).min())
