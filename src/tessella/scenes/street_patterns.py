"""Procedural pictures of streets: ground, facades, fences, signs."""

import cv2
import numpy as np

from tessella.scenes.patterns import (
    SIDE,
    Pattern,
    cells,
    clouds,
    foliage,
    grass,
    grey,
    leaves,
    masonry,
    rough,
    stripes,
)


def facade(columns: int, rows: int, width: float, height: float, seed: int) -> Pattern:
    """A wall of plaster or stone with rows of framed windows, some lit, some with curtains."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        column, row, x, y = cells(columns, rows)
        chance = np.random.default_rng(seed).random((3, rows, columns))[:, row, column]
        picture = grey(0.75 + 0.06 * clouds(rng, 1.0))
        picture[y > 0.96] *= 0.8
        dx, dy = np.abs(x - 0.5) / width * 2, np.abs(y - 0.48) / height * 2
        picture[(dx < 1.15) & (dy < 1.12)] *= 1.15
        inside = (dx < 1) & (dy < 1)
        glass = np.stack([0.10 + 0.12 * (1 - y), 0.12 + 0.14 * (1 - y), 0.15 + 0.18 * (1 - y)], axis=2)
        glass[chance[0] < 0.25] += 0.25
        glass[(chance[1] < 0.12)] = (0.75, 0.6, 0.35)
        picture[inside] = glass[inside]
        bars = inside & ((np.abs(dx) < 0.05) | (np.abs(y - 0.40) < 0.012))
        picture[bars] = 0.6
        return np.clip(picture, 0, 1)

    return draw


def shopfront(rng: np.random.Generator) -> np.ndarray:
    """Large panes with goods behind them under a coloured sign."""
    picture = grey(0.55 + 0.05 * clouds(rng, 1))
    for start in (8, 136):
        sign = rng.uniform(0.1, 0.8, 3)
        picture[20:62, start : start + 112] = sign
        for letter in range(start + 16, start + 90, 12):
            picture[32:50, letter : letter + int(rng.integers(4, 9))] = 0.9
        picture[74:232, start : start + 112] = (0.1, 0.12, 0.14)
        for _ in range(30):
            x, y = start + int(rng.integers(4, 96)), int(rng.integers(90, 200))
            picture[y : y + int(rng.integers(8, 32)), x : min(x + 14, start + 110)] = rng.uniform(
                0.05, 0.6, 3
            )
        picture[74:232, start + 52 : start + 56] = 0.35
    return picture


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Grain, patches and a few sealed cracks."""
    shade = 0.7 + 0.09 * clouds(rng, 0.2) + 0.07 * clouds(rng, 1.7)
    for _ in range(5):
        line = np.cumsum(rng.integers(-6, 7, (24, 2)), axis=0) + rng.integers(0, SIDE, 2)
        cv2.polylines(shade, [line.astype(np.int32)], False, 0.4, 1)
    x, y = rng.integers(0, 180, 2)
    shade[y : y + 60, x : x + 70] -= 0.12
    return grey(shade)


def bars(count: int, thickness: float, rails: tuple[float, ...] = (0.1, 0.9)) -> Pattern:
    """Upright bars between two rails."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
        solid = np.abs((x * count) % 1 - 0.5) < thickness / 2
        for rail in rails:
            solid |= np.abs(y - rail) < 0.03
        return np.dstack([grey(0.7 + 0.05 * clouds(rng, 0.5)), solid])

    return draw


def mesh(rng: np.random.Generator) -> np.ndarray:
    """Crossed wires."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    solid = (((x + y) * 8) % 1 < 0.22) | (((x - y) * 8) % 1 < 0.22) | (y < 0.04) | (y > 0.96)
    return np.dstack([np.full((SIDE, SIDE, 3), 0.7), solid])


def dashes(rng: np.random.Generator) -> np.ndarray:
    """Worn road paint over the upper half."""
    solid = np.zeros((SIDE, SIDE), bool)
    solid[: SIDE // 2] = True
    return np.dstack([grey(0.8 + 0.1 * clouds(rng, 0.8)), solid])


def zebra(rng: np.random.Generator) -> np.ndarray:
    """Half of the width painted, the other half open, worn."""
    solid = np.zeros((SIDE, SIDE), bool)
    solid[:, : SIDE // 2] = True
    return np.dstack([grey(0.8 + 0.1 * clouds(rng, 0.8)), solid & (clouds(rng, 0.8) > -2)])


def sign(kind: str) -> Pattern:
    """A traffic sign: round, triangular, square or a direction board."""
    red, white, blue, black = (0.6, 0.02, 0.03), (0.9, 0.9, 0.9), (0.02, 0.1, 0.5), (0.02, 0.02, 0.02)
    yellow = (0.85, 0.6, 0.03)

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = np.zeros((SIDE, SIDE, 4))
        picture[..., :3] = 0.5

        def disc(radius: int, color: tuple[float, float, float]) -> None:
            cv2.circle(picture, (128, 128), radius, (*color, 1.0), -1)

        def polygon(points: list[tuple[int, int]], color: tuple[float, float, float]) -> None:
            cv2.fillPoly(picture, [np.array(points, np.int32)], (*color, 1.0))

        if kind == "limit":
            disc(124, red)
            disc(92, white)
            for x in (66, 138):
                cv2.rectangle(picture, (x, 84), (x + 48, 172), (*black, 1.0), 16)
        elif kind == "stop":
            disc(124, red)
            polygon([(40, 108), (216, 108), (216, 148), (40, 148)], white)
        elif kind == "warning":
            polygon([(128, 8), (250, 236), (6, 236)], red)
            polygon([(128, 62), (206, 210), (50, 210)], white)
            polygon([(118, 110), (138, 110), (134, 190), (122, 190)], black)
        elif kind == "turn":
            disc(124, blue)
            cv2.arrowedLine(picture, (70, 190), (180, 76), (*white, 1.0), 24, tipLength=0.4)
        elif kind == "parking":
            polygon([(16, 16), (240, 16), (240, 240), (16, 240)], blue)
            cv2.line(picture, (92, 50), (92, 210), (*white, 1.0), 28)
            cv2.ellipse(picture, (110, 94), (52, 42), 0, -90, 90, (*white, 1.0), 26)
        elif kind == "priority":
            polygon([(128, 4), (252, 128), (128, 252), (4, 128)], white)
            polygon([(128, 36), (220, 128), (128, 220), (36, 128)], yellow)
        else:
            polygon([(0, 40), (256, 40), (256, 216), (0, 216)], yellow if rng.random() < 0.5 else blue)
            for y in (80, 130, 176):
                cv2.line(picture, (30, y), (int(rng.integers(140, 226)), y), (*white, 1.0), 14)
        return picture

    return draw


def lamps(lit: int) -> Pattern:
    """Red, amber and green from top to bottom on black; one is lit."""
    colors = [(1.0, 0.06, 0.03), (1.0, 0.5, 0.02), (0.05, 0.9, 0.4)]

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = np.full((SIDE, SIDE, 3), 0.03)
        for position, color in enumerate(colors):
            scale = 1.0 if position == lit else 0.12
            center = (128, 46 + 82 * position)
            cv2.ellipse(picture, center, (96, 36), 0, 0, 360, [scale * channel for channel in color], -1)
        return picture

    return draw


STREET_PATTERNS: dict[str, Pattern] = {
    "plain": rough(0.02, 1.0),
    "clouds": lambda rng: grey(0.5 + 0.2 * clouds(rng, 1.6)),
    "stucco": rough(0.05, 0.6),
    "concrete": rough(0.09, 1.4),
    "metal": rough(0.05, 1.0, (1, 12)),
    "bark": rough(0.16, 0.9, (0.15, 1)),
    "soil": rough(0.13, 0.8),
    "asphalt": asphalt,
    "slabs": masonry(6, 6, 0.5, 0.05, 0.06),
    "cobbles": masonry(16, 16, 0.5, 0.12, 0.1, 0.3),
    "stripes_upright": stripes(10, 0.12),
    "brick": masonry(8, 20, 0.5, 0.10, 0.1, 0.7),
    "roof": masonry(16, 12, 0.5, 0.08, 0.08, 0.35),
    "grass": grass,
    "leaves": leaves,
    "foliage": foliage,
    "facade_0": facade(4, 4, 0.42, 0.55, 0),
    "facade_1": facade(6, 4, 0.6, 0.6, 1),
    "facade_2": facade(3, 4, 0.8, 0.45, 2),
    "facade_3": facade(5, 5, 0.34, 0.62, 3),
    "facade_4": facade(8, 5, 0.9, 0.8, 4),
    "shop": shopfront,
    "bars": bars(8, 0.28),
    "planks": bars(6, 0.86),
    "mesh": mesh,
    "dashes": dashes,
    "zebra": zebra,
    **{
        f"sign_{kind}": sign(kind)
        for kind in ("limit", "stop", "warning", "turn", "parking", "priority", "board")
    },
    **{f"lamps_{lit}": lamps(lit) for lit in range(3)},
}
