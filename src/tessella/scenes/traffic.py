"""Who is on a street: vehicles that drive or are parked, and people who walk."""

import numpy as np

from tessella.scenes import vehicles
from tessella.scenes.camera import stand
from tessella.scenes.people import pedestrian
from tessella.scenes.street_plan import Plan


def add_vehicles(plan: Plan) -> None:
    """Trams, what drives both ways, cyclists, parked cars and cycles, crossing traffic."""
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
        cyclist_y = rng.uniform(6, 22)
        if rng.random() < 0.35:
            vehicles.two_wheeler(
                scene,
                plan.drive(side * (w - 0.7), cyclist_y, side * rng.uniform(3, 6)),
                rng,
                rng.random() < 0.4,
                True,
            )
        elif rng.random() < 0.75:
            _parked(plan, side)
        for _ in range(int(rng.integers(0, 4))):
            place = plan.edge(side, "verge") + side * rng.uniform(0.4, 0.9)
            pose = stand(place, rng.uniform(5, 20), 0.12, rng.normal(0, 0.7))
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


def _parked(plan: Plan, side: int) -> None:
    rng, y = plan.rng, plan.rng.uniform(4, 14)
    for _ in range(int(rng.integers(1, 7))):
        if plan.free(y, 12):
            yaw = (0 if side > 0 else np.pi) + rng.normal(0, 0.03)
            pose = stand(side * (plan.half_road - 0.2) + rng.normal(0, 0.1), y, 0, yaw)
            (vehicles.truck if rng.random() < 0.08 else vehicles.car)(plan.scene, pose, rng)
        y += rng.uniform(6, 9)


def add_walkers(plan: Plan) -> None:
    """People on the pavements, on the zebra crossing, or in the middle of the road."""
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
                rng.choice([rng.uniform(5, 14), rng.uniform(10, 30), rng.uniform(20, 90)]),
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
