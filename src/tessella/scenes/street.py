"""The plan of a street: what lies where, who moves how, and the camera car's path."""

import numpy as np

from tessella.scenes import street_furniture as furniture
from tessella.scenes import vehicles
from tessella.scenes.camera import Camera, intrinsics, look, stand
from tessella.scenes.classes import STREET
from tessella.scenes.lighting import Light, Source
from tessella.scenes.people import pedestrian
from tessella.scenes.shapes import Scene, Surface
from tessella.scenes.world import World

_FRAME_TIME = 1 / 17
_REACH = 130.0
_FOCAL = 0.95
_CAMERA_SPEED = (3.0, 11.0)
_BACKGROUND = Surface(STREET["terrain"], "grass", (0.2, 0.24, 0.1), tile=3.0)


class _Plan:
    """The measures of one street; x grows to the right, the camera car is at y = 0 when ``times`` is 0."""

    def __init__(self, rng: np.random.Generator, times: np.ndarray) -> None:
        self.rng = rng
        self.times = times
        self.scene = Scene(len(times))
        self.half_road = rng.uniform(3.4, 6.5)
        self.tram = rng.random() < 0.3
        self.half_road += 2.8 * self.tram
        self.crossing = rng.uniform(14, 45) if rng.random() < 0.5 else None
        self.verge = {side: rng.uniform(1.2, 3.0) if rng.random() < 0.45 else 0.0 for side in (-1, 1)}
        self.walk = {side: rng.uniform(1.8, 3.6) for side in (-1, 1)}
        self.garden = {side: rng.uniform(2.0, 7.0) if rng.random() < 0.5 else 0.0 for side in (-1, 1)}
        self.lane = self.half_road / 2 + 0.7 * self.tram

    def edge(self, side: int, part: str) -> float:
        """The outer x of a strip on one side."""
        parts = {"road": self.half_road}
        parts["verge"] = parts["road"] + self.verge[side]
        parts["walk"] = parts["verge"] + self.walk[side]
        parts["garden"] = parts["walk"] + self.garden[side]
        return side * parts[part]

    def free(self, y: float, margin: float = 5.0) -> bool:
        """Whether y is clear of the crossing."""
        return self.crossing is None or abs(y - self.crossing) > margin

    def drive(self, x: float, y: float, speed: float, sideways: bool = False) -> np.ndarray:
        """Poses along the street (a negative speed comes towards the camera), or across it."""
        poses = np.empty((len(self.times), 4, 4))
        for index, time in enumerate(self.times):
            if sideways:
                poses[index] = stand(x + speed * time, y, 0, -np.pi / 2 if speed > 0 else np.pi / 2)
            else:
                poses[index] = stand(x, y + speed * time, 0, 0 if speed >= 0 else np.pi)
        return poses


def street(rng: np.random.Generator, frames: int, labelled: int, height: int, width: int) -> World:
    """A street whose moving things are where the plan puts them in the labelled frame."""
    times = (np.arange(frames) - labelled) * _FRAME_TIME
    plan = _Plan(rng, times)
    _ground(plan)
    for side in (-1, 1):
        _blocks(plan, side)
        _roadside(plan, side)
    _skyline(plan)
    _traffic(plan)
    _walkers(plan)
    return World(plan.scene, _drive(plan, height, width), _daylight(rng), **_exposure(rng))


def _exposure(rng: np.random.Generator) -> dict:
    cast = 1 + rng.normal(0, 0.07, 3)
    return {
        "exposure": rng.uniform(0.75, 1.35),
        "white_balance": cast / cast.mean(),
        "noise": rng.uniform(0.02, 0.07),
        "empty_label": STREET["sky"],
    }


def _drive(plan: _Plan, height: int, width: int) -> list[Camera]:
    rng = plan.rng
    speed = rng.uniform(*_CAMERA_SPEED) if rng.random() < 0.85 else 0.0
    x, z = plan.lane + rng.normal(0, 0.3), rng.uniform(1.2, 1.7)
    yaw, pitch = rng.normal(0, 0.06), rng.normal(-0.02, 0.02)
    turn, shake = rng.normal(0, 0.06), rng.uniform(0.001, 0.004)
    phase = rng.uniform(0, 6.3, 3)
    matrix = intrinsics(_FOCAL * width * rng.uniform(0.92, 1.08), height, width)
    matrix[1, 2] -= 0.05 * height
    cameras = []
    for time in plan.times:
        heading = yaw + turn * time
        position = np.array(
            [x - speed * time * np.sin(heading) * 0.5, speed * time, z + 0.015 * np.sin(5 * time + phase[0])]
        )
        bump = shake * np.sin(np.array([9, 13]) * time + phase[1:])
        cameras.append(Camera(matrix, look(position, heading, pitch + bump[0], bump[1]), height, width))
    return cameras


def _daylight(rng: np.random.Generator) -> Light:
    kind = rng.choice(["clear", "low", "overcast", "dusk"], p=[0.35, 0.25, 0.28, 0.12])
    azimuth = rng.uniform(0, 2 * np.pi) if kind != "low" else rng.normal(0, 0.9)
    elevation = {"clear": rng.uniform(0.5, 1.1), "low": rng.uniform(0.15, 0.4), "overcast": 1.4, "dusk": 0.3}[
        kind
    ]
    sun = {
        "clear": (1.1, 1.05, 0.95),
        "low": (1.3, 0.95, 0.6),
        "overcast": (0.25, 0.25, 0.26),
        "dusk": (0.12, 0.1, 0.12),
    }[kind]
    above = {
        "clear": (0.42, 0.5, 0.62),
        "low": (0.4, 0.42, 0.5),
        "overcast": (0.75, 0.78, 0.8),
        "dusk": (0.36, 0.35, 0.46),
    }
    zenith = {
        "clear": (0.2, 0.4, 0.85),
        "low": (0.35, 0.45, 0.7),
        "overcast": (0.75, 0.78, 0.82),
        "dusk": (0.16, 0.18, 0.36),
    }
    horizon = {
        "clear": (0.75, 0.85, 1.0),
        "low": (1.1, 0.85, 0.6),
        "overcast": (0.85, 0.86, 0.88),
        "dusk": (0.62, 0.4, 0.36),
    }
    direction = [
        np.sin(azimuth) * np.cos(elevation),
        np.cos(azimuth) * np.cos(elevation),
        np.sin(elevation),
        0.0,
    ]
    return Light(
        sources=(Source(np.array(direction), np.array(sun)),),
        shadow={"clear": 0.75, "low": 0.7, "overcast": 0.55, "dusk": 0.5}[kind],
        from_above=np.array(above[kind]),
        from_below=np.array(above[kind]) * (0.5, 0.47, 0.43),
        zenith=np.array(zenith[kind]),
        horizon=np.array(horizon[kind]),
        cloudiness=rng.uniform(0.1, 0.8),
        haze=rng.uniform(0.05, 0.35),
        glare=rng.uniform(0.1, 0.5) if kind == "low" else 0.0,
    )


def _ground(plan: _Plan) -> None:
    rng, scene = plan.rng, plan.scene
    ground = scene.thing(casts_shadow=False)
    far, back = _REACH + 120, -40.0
    ground.face(_BACKGROUND, (-150, back, -0.03), (300, 0, 0), (0, far - back, 0))
    grey = rng.uniform(0.09, 0.24)
    tarmac = Surface(
        STREET["road"],
        "asphalt",
        (grey, grey * rng.uniform(0.96, 1.0), grey * rng.uniform(0.9, 1.05)),
        tile=5.0,
    )
    if rng.random() < 0.15:
        tarmac = tarmac.but(texture="cobbles", tile=2.2)
    road = scene.thing(casts_shadow=False)
    w = plan.half_road
    road.face(tarmac, (-w, back, 0), (2 * w, 0, 0), (0, far - back, 0))
    tone = rng.uniform(0.16, 0.4)
    paving = str(rng.choice(["slabs", "slabs", "cobbles", "asphalt"]))
    slabs = Surface(STREET["sidewalk"], paving, (tone, tone * 0.97, tone * rng.uniform(0.85, 1.0)), tile=3.0)
    grass = _BACKGROUND.but(
        color=tuple(np.array((0.2, 0.25, 0.09)) * rng.uniform(0.6, 1.2)),
        texture=str(rng.choice(["grass", "grass", "soil"])),
    )
    gap = 4.5
    pieces = (
        [(back, far)] if plan.crossing is None else [(back, plan.crossing - gap), (plan.crossing + gap, far)]
    )
    for side in (-1, 1):
        strips = [("road", "verge", grass), ("verge", "walk", slabs), ("walk", "garden", grass)]
        for inner, outer, surface in strips:
            a, b = sorted((plan.edge(side, inner), plan.edge(side, outer)))
            if b - a < 0.1:
                continue
            strip = scene.thing(casts_shadow=False)
            for start, end in pieces:
                strip.face(surface, (a, start, 0.12), (b - a, 0, 0), (0, end - start, 0))
        curb = scene.thing(casts_shadow=False)
        for start, end in pieces:
            x = plan.edge(side, "road")
            curb.face(
                slabs.but(texture="concrete", tile=1.0),
                (x, end if side > 0 else start, 0),
                (0, (start - end) * side, 0),
                (0, 0, 0.12),
            )
    if plan.crossing is not None:
        y = plan.crossing
        for start, end in ((-120, -w), (w, 120)):
            road.face(tarmac, (start, y - gap, 0), (end - start, 0, 0), (0, 2 * gap, 0))
    _markings(plan, road, tarmac)


def _markings(plan: _Plan, road: object, tarmac: Surface) -> None:
    rng, w = plan.rng, plan.half_road
    fade = rng.uniform(0.3, 0.8)
    paint = tarmac.but(texture="dashes", color=(fade, fade, fade), tile=(1.0, rng.uniform(5, 9)))
    lines = [(0.0, paint)] if not plan.tram else [(-2.2, paint), (2.2, paint)]
    if rng.random() < 0.6:
        solid = paint.but(texture="stucco", tile=2.0)
        lines += [(-w + 0.35, solid), (w - 0.35, solid)]
    for x, surface in lines:
        road.face(surface, (x - 0.07, -40, 0.012), (0.14, 0, 0), (0, 200, 0))  # type: ignore[attr-defined]
    if plan.tram:
        rail = tarmac.but(texture="metal", color=(0.3, 0.28, 0.26), gloss=0.5)
        for x in (-1.75, -0.35, 0.35, 1.75):
            road.face(rail, (x - 0.04, -40, 0.015), (0.08, 0, 0), (0, 240, 0))  # type: ignore[attr-defined]
    if plan.crossing is not None:
        zebra = paint.but(texture="zebra", tile=(1.0, 3.0))
        for y in (plan.crossing - 9, plan.crossing + 6):
            road.face(zebra, (-w + 0.3, y, 0.014), (2 * w - 0.6, 0, 0), (0, 3.0, 0))  # type: ignore[attr-defined]


def _blocks(plan: _Plan, side: int) -> None:
    """Houses, parks and yards behind the pavement."""
    rng, y = plan.rng, -25.0
    border = plan.edge(side, "walk") + side * 0.25
    line = plan.edge(side, "garden")
    while y < _REACH:
        length = rng.uniform(9, 22)
        end = y + length
        if plan.crossing is not None and y < plan.crossing + 6 and end > plan.crossing - 6:
            y = plan.crossing + 6 if end >= plan.crossing - 6 and y > plan.crossing - 12 else y
            end = max(min(end, plan.crossing - 6), y) if y < plan.crossing else y + length
            if end - y < 4:
                y = plan.crossing + 6.01
                continue
        kind = rng.choice(["house", "park", "yard"], p=[0.66, 0.18, 0.16])
        if kind == "house":
            depth = rng.uniform(8, 14)
            a, b = sorted((line, line + side * depth))
            furniture.house(plan.scene, rng, (a, y), (b, end - rng.choice([0.0, 0.0, 3.0])), -side)
            if plan.garden[side] and rng.random() < 0.75:
                furniture.barrier(
                    plan.scene,
                    rng,
                    border,
                    y,
                    end,
                    str(rng.choice(["fence", "wall", "hedge"], p=[0.5, 0.28, 0.22])),
                )
        else:
            kinds, odds = (
                (["fence", "hedge", "none"], [0.55, 0.2, 0.25])
                if kind == "park"
                else (["wall", "fence"], [0.7, 0.3])
            )
            chosen = str(rng.choice(kinds, p=odds))
            if chosen != "none":
                furniture.barrier(plan.scene, rng, border, y, end, chosen)
            for _ in range(int(rng.integers(2, 5))):
                furniture.tree(plan.scene, rng, border + side * rng.uniform(2.5, 10), rng.uniform(y, end))
        if plan.garden[side]:
            for _ in range(int(rng.integers(0, 3))):
                furniture.bush(
                    plan.scene, rng, border + side * rng.uniform(0.8, plan.garden[side]), rng.uniform(y, end)
                )
        y = end + 0.01


def _roadside(plan: _Plan, side: int) -> None:
    """Posts, trees, signs and litter bins between the road and the walkers."""
    rng, scene = plan.rng, plan.scene
    strip = plan.edge(side, "road") + side * (plan.verge[side] / 2 if plan.verge[side] else 0.4)
    phase, spacing = rng.uniform(0, 12), rng.uniform(14, 26)
    for y in np.arange(phase, _REACH, spacing):
        if plan.free(y, 7):
            furniture.lamp(scene, rng, strip, y, -side)
    if plan.verge[side] or rng.random() < 0.35:
        for y in np.arange(phase + 4, _REACH * 0.8, rng.uniform(7, 16)):
            if plan.free(y, 8):
                furniture.tree(scene, rng, strip + side * 0.2, y)
    for y in rng.uniform(6, 60, int(rng.integers(1, 4))):
        furniture.traffic_sign(scene, rng, strip + side * rng.uniform(0, 0.4), y)
    for y in rng.uniform(5, 50, int(rng.integers(0, 3))):
        if plan.free(y, 6):
            furniture.clutter(scene, rng, plan.edge(side, "verge") + side * rng.uniform(0.6, 1.5), y)
    if plan.crossing is not None and rng.random() < 0.75:
        furniture.traffic_light(scene, rng, strip, plan.crossing - 6, -side, int(rng.integers(3)))


def _skyline(plan: _Plan) -> None:
    """What closes the view at the end of the street."""
    rng = plan.rng
    if rng.random() < 0.5:
        for x in np.arange(-40, 41, 13.0):
            furniture.house(plan.scene, rng, (x, _REACH + 30), (x + 13, _REACH + 42), 1)
    else:
        for x in rng.uniform(-45, 45, 22):
            furniture.tree(plan.scene, rng, x, _REACH + rng.uniform(5, 40))


def _traffic(plan: _Plan) -> None:
    rng, scene, w = plan.rng, plan.scene, plan.half_road
    if plan.tram:
        ahead = rng.random() < 0.5
        vehicles.tram(
            scene,
            plan.drive(
                1.05 if ahead else -1.05, rng.uniform(14, 45), rng.uniform(2, 9) * (1 if ahead else -1)
            ),
            rng,
        )
    for direction in (1, -1):
        y = rng.uniform(9, 26) if direction > 0 else rng.uniform(6, 22)
        for _ in range(int(rng.integers(1, 4))):
            speed = direction * rng.uniform(2, 12)
            x = direction * plan.lane + rng.normal(0, 0.2)
            kind = rng.choice(["car", "truck", "bus", "motorcycle", "bicycle"], p=[0.5, 0.15, 0.15, 0.1, 0.1])
            if kind == "car":
                vehicles.car(scene, plan.drive(x, y, speed), rng)
            elif kind == "truck":
                vehicles.truck(scene, plan.drive(x, y + 3, speed), rng)
            elif kind == "bus":
                vehicles.bus(scene, plan.drive(x, y + 5, speed), rng)
            else:
                vehicles.two_wheeler(
                    scene, plan.drive(x + direction * 0.6, y, speed / 2), rng, kind == "motorcycle", True
                )
            y += rng.uniform(12, 28)
    for side in (-1, 1):
        cyclist_y = rng.uniform(7, 35)
        if rng.random() < 0.3:
            vehicles.two_wheeler(
                scene,
                plan.drive(side * (w - 0.7), cyclist_y, side * rng.uniform(3, 6)),
                rng,
                rng.random() < 0.4,
                True,
            )
        elif rng.random() < 0.75:
            _parked(plan, side)
        for _ in range(int(rng.integers(0, 3))):
            place = plan.edge(side, "verge") + side * rng.uniform(0.4, 0.9)
            pose = stand(place, rng.uniform(6, 30), 0.12, rng.normal(0, 0.5))
            vehicles.two_wheeler(scene, pose, rng, rng.random() < 0.4, False)
    if plan.crossing is not None and rng.random() < 0.7:
        build = (vehicles.car, vehicles.bus, vehicles.truck)[rng.choice(3, p=[0.6, 0.2, 0.2])]
        away = rng.choice([-1, 1])
        build(
            scene,
            plan.drive(
                rng.uniform(-14, 14), plan.crossing - 2.2 * away, away * rng.uniform(2, 8), sideways=True
            ),
            rng,
        )


def _parked(plan: _Plan, side: int) -> None:
    rng, y = plan.rng, plan.rng.uniform(4, 14)
    for _ in range(int(rng.integers(1, 7))):
        if plan.free(y, 12):
            yaw = (0 if side > 0 else np.pi) + rng.normal(0, 0.03)
            pose = stand(side * (plan.half_road - 0.2) + rng.normal(0, 0.1), y, 0, yaw)
            (vehicles.truck if rng.random() < 0.08 else vehicles.car)(plan.scene, pose, rng)
        y += rng.uniform(6, 9)


def _walkers(plan: _Plan) -> None:
    rng = plan.rng

    def walk(x: float, y: float, z: float, speed: float, sideways: bool = False) -> None:
        poses = plan.drive(x, y, speed, sideways)
        poses[:, 2, 3] = z
        pedestrian(plan.scene, poses, rng, rng.uniform(0, 6.3) + 4.2 * speed * plan.times)

    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 6))):
            a, b = plan.edge(side, "verge"), plan.edge(side, "walk")
            speed = rng.choice([-1, 1]) * rng.uniform(0.8, 1.7) if rng.random() < 0.8 else 0.0
            walk(
                a + (b - a) * rng.uniform(0.25, 0.85),
                rng.choice([rng.uniform(4, 25), rng.uniform(20, 90)]),
                0.12,
                speed,
            )
    if plan.crossing is not None:
        for _ in range(int(rng.integers(0, 5))):
            speed = rng.choice([-1, 1]) * rng.uniform(0.8, 1.6)
            walk(
                rng.uniform(-1, 1) * plan.half_road,
                plan.crossing - 9 + rng.uniform(0.4, 2.6),
                0.0,
                speed,
                sideways=True,
            )
    elif rng.random() < 0.25:
        walk(
            rng.uniform(-1, 1) * plan.half_road,
            rng.uniform(9, 30),
            0.0,
            rng.choice([-1, 1]) * 1.4,
            sideways=True,
        )
