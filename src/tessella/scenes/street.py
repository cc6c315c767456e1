"""A street: ground, houses and roadside, daylight, and the camera car's path."""

import numpy as np

from tessella.scenes import street_furniture as furniture
from tessella.scenes.camera import Camera, intrinsics, look
from tessella.scenes.classes import STREET
from tessella.scenes.lighting import Light, Source
from tessella.scenes.shapes import Surface, Thing
from tessella.scenes.street_plan import Plan
from tessella.scenes.traffic import add_vehicles, add_walkers
from tessella.scenes.world import World

INTERVAL = 1 / 17
"""Seconds from frame to frame, as in Cityscapes."""

_REACH = 130.0
_FOCAL = 0.95
_CAMERA_SPEED = (3.0, 11.0)
_BACKGROUND = Surface(STREET["terrain"], "grass", (0.2, 0.24, 0.1), tile=3.0)


def build(rng: np.random.Generator, times: np.ndarray, height: int, width: int) -> World:
    """A street whose moving things are where the plan puts them at time 0, in seconds, of the labelled frame."""
    plan = Plan(rng, times)
    _ground(plan)
    for side in (-1, 1):
        _blocks(plan, side)
        _roadside(plan, side)
    _skyline(plan)
    add_vehicles(plan)
    add_walkers(plan)
    return World(plan.scene, _drive(plan, height, width), _daylight(rng), **_exposure(rng))


def _exposure(rng: np.random.Generator) -> dict:
    cast = 1 + rng.normal(0, 0.05, 3)
    return {
        "exposure": rng.uniform(0.9, 1.8),
        "white_balance": cast / cast.mean(),
        "noise": rng.uniform(0.01, 0.045),
        "empty_label": STREET["sky"],
    }


def _drive(plan: Plan, height: int, width: int) -> list[Camera]:
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
    kind = rng.choice(["clear", "low", "overcast", "dusk"], p=[0.37, 0.25, 0.3, 0.08])
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
        haze=rng.uniform(0.03, 0.25),
        glare=rng.uniform(0.1, 0.4) if kind == "low" else 0.0,
    )


def _ground(plan: Plan) -> None:
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


def _markings(plan: Plan, road: Thing, tarmac: Surface) -> None:
    rng, w = plan.rng, plan.half_road
    fade = rng.uniform(0.3, 0.8)
    paint = tarmac.but(texture="dashes", color=(fade, fade, fade), tile=(1.0, rng.uniform(5, 9)))
    lines = [(0.0, paint)] if not plan.tram else [(-2.2, paint), (2.2, paint)]
    if rng.random() < 0.6:
        solid = paint.but(texture="stucco", tile=2.0)
        lines += [(-w + 0.35, solid), (w - 0.35, solid)]
    for x, surface in lines:
        road.face(surface, (x - 0.07, -40, 0.012), (0.14, 0, 0), (0, 200, 0))
    if plan.tram:
        rail = tarmac.but(texture="metal", color=(0.3, 0.28, 0.26), gloss=0.5)
        for x in (-1.75, -0.35, 0.35, 1.75):
            road.face(rail, (x - 0.04, -40, 0.015), (0.08, 0, 0), (0, 240, 0))
    if plan.crossing is not None:
        zebra = paint.but(texture="zebra", tile=(1.0, 3.0))
        for y in (plan.crossing - 9, plan.crossing + 6):
            road.face(zebra, (-w + 0.3, y, 0.014), (2 * w - 0.6, 0, 0), (0, 3.0, 0))


def _blocks(plan: Plan, side: int) -> None:
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


def _roadside(plan: Plan, side: int) -> None:
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
    for y in rng.uniform(6, 40, int(rng.integers(1, 4))):
        furniture.traffic_sign(scene, rng, strip + side * rng.uniform(0, 0.4), y)
    for y in rng.uniform(5, 50, int(rng.integers(0, 3))):
        if plan.free(y, 6):
            furniture.clutter(scene, rng, plan.edge(side, "verge") + side * rng.uniform(0.6, 1.5), y)
    if plan.crossing is not None and rng.random() < 0.75:
        furniture.traffic_light(scene, rng, strip, plan.crossing - 6, -side, int(rng.integers(3)))


def _skyline(plan: Plan) -> None:
    """What closes the view at the end of the street."""
    rng = plan.rng
    if rng.random() < 0.5:
        for x in np.arange(-40, 41, 13.0):
            furniture.house(plan.scene, rng, (x, _REACH + 30), (x + 13, _REACH + 42), 1)
    else:
        for x in rng.uniform(-45, 45, 22):
            furniture.tree(plan.scene, rng, x, _REACH + rng.uniform(5, 40))
