"""Procedural pictures of the sides of vehicles; their paint is white, so that a surface can colour it."""

import cv2
import numpy as np

from tessella.scenes.patterns import SIDE, Pattern, clouds, grey


def car_glass(rng: np.random.Generator) -> np.ndarray:
    """Dark windows that mirror the sky, with pillars."""
    picture = np.ones((SIDE, SIDE, 3)) * 0.16
    picture += np.linspace(0.22, 0.0, SIDE)[:, None, None] * np.array([0.8, 0.95, 1.1])
    for x in (0, 118, 244):
        picture[:, x : x + 14] = 0.55
    picture[:14] = picture[-10:] = 0.5
    return picture


def _vehicle(paint: float = 0.85) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), paint)


def car_front(rng: np.random.Generator) -> np.ndarray:
    """Headlights, grille and number plate; the paint is white."""
    picture = _vehicle()
    picture[70:130, 70:186] = 0.08
    picture[170:] = 0.2
    for x in (38, 218):
        cv2.ellipse(picture, (x, 92), (30, 22), 0, 0, 360, (0.95, 0.95, 0.9), -1)
        cv2.ellipse(picture, (x, 92), (12, 12), 0, 0, 360, (0.5, 0.5, 0.5), -1)
    picture[150:172, 98:158] = 0.9
    return picture


def car_rear(rng: np.random.Generator) -> np.ndarray:
    """Red tail lights, plate and bumper; the paint is white."""
    picture = _vehicle()
    picture[185:] = 0.15
    picture[60:110, 8:52] = picture[60:110, 204:248] = (0.6, 0.02, 0.02)
    picture[95:125, 92:164] = 0.9
    picture[150:154] = 0.4
    return picture


def car_side(rng: np.random.Generator) -> np.ndarray:
    """Door gaps, handles and a dark sill; the paint is white."""
    picture = _vehicle()
    picture[210:] = 0.12
    for x in (70, 130, 190):
        picture[10:215, x : x + 2] = 0.25
    picture[60:70, 112:126] = picture[60:70, 172:186] = 0.3
    picture[120:124] = 0.65
    return picture


def coach(windows: int, band: tuple[int, int], stripe: bool) -> Pattern:
    """The side of a bus or a tram: a band of windows, doors, perhaps a coloured stripe."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = _vehicle()
        step = SIDE // windows
        for window in range(windows):
            x = window * step
            glass = 0.08 + 0.15 * rng.random()
            picture[band[0] : band[1], x + 4 : x + step - 4] = (glass, glass * 1.1, glass * 1.2)
            if window % 3 == 1:
                picture[band[0] : 236, x + 2 : x + step - 2] = (0.12, 0.14, 0.16)
                picture[band[0] : 236, x + step // 2] = 0.6
        if stripe:
            picture[band[1] + 14 : band[1] + 40] *= (0.9, 0.25, 0.2)
        picture[238:] = 0.1
        return picture

    return draw


def coach_front(rng: np.random.Generator) -> np.ndarray:
    """A large windscreen under a lit destination board, lights below."""
    picture = _vehicle()
    picture[10:38, 40:216] = (0.05, 0.05, 0.05)
    for x in range(56, 200, 14):
        picture[16:32, x : x + int(rng.integers(3, 10))] = (0.95, 0.6, 0.1)
    picture[46:150, 14:242] = (0.12, 0.14, 0.17)
    picture[46:150, 126:130] = 0.3
    for x in (36, 220):
        cv2.circle(picture, (x, 200), 16, (0.95, 0.95, 0.85), -1)
    picture[232:] = 0.12
    return picture


def cargo(rng: np.random.Generator) -> np.ndarray:
    """A tarpaulin with folds and a printed logo."""
    folds = 0.8 + 0.05 * np.sin(np.linspace(0, 2 * np.pi * 9, SIDE))[None] + 0.04 * clouds(rng, 1.5)
    picture = grey(folds)
    picture[90:150, 50:200] *= rng.uniform(0.2, 0.9, 3)
    return picture


def wheel(rng: np.random.Generator) -> np.ndarray:
    """A round tyre with its rim."""
    picture = np.zeros((SIDE, SIDE, 4))
    picture[..., :3] = 0.04
    cv2.circle(picture, (128, 128), 126, (0.04, 0.04, 0.045, 1.0), -1)
    cv2.circle(picture, (128, 128), 78, (0.5, 0.5, 0.52, 1.0), -1)
    for angle in range(0, 360, 60):
        cv2.ellipse(picture, (128, 128), (66, 66), 0, angle, angle + 25, (0.1, 0.1, 0.1, 1.0), -1)
    return picture


def cycle(motor: bool) -> Pattern:
    """The side of a bicycle, or of a motorcycle, as a silhouette with colours."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = np.zeros((SIDE, SIDE, 4))
        picture[..., :3] = 0.15
        tyre, frame = (0.05, 0.05, 0.05, 1.0), (0.9, 0.9, 0.9, 1.0)
        for x in (56, 200):
            cv2.circle(picture, (x, 196), 48, tyre, 18 if motor else 7)
            if motor:
                cv2.circle(picture, (x, 196), 22, (0.4, 0.4, 0.4, 1.0), -1)
            else:
                for angle in range(0, 180, 30):
                    d = 46 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
                    ends = [(int(x + sign * d[0]), int(196 + sign * d[1])) for sign in (-1, 1)]
                    cv2.line(picture, ends[0], ends[1], (0.3, 0.3, 0.3, 1.0), 1)
        if motor:
            cv2.ellipse(picture, (126, 160), (52, 38), 0, 0, 360, (0.25, 0.25, 0.27, 1.0), -1)
            cv2.ellipse(picture, (140, 112), (44, 24), 10, 0, 360, frame, -1)
            cv2.ellipse(picture, (64, 116), (50, 13), -6, 0, 360, (0.06, 0.06, 0.06, 1.0), -1)
            cv2.line(picture, (200, 196), (176, 70), (0.5, 0.5, 0.5, 1.0), 12)
            cv2.line(picture, (176, 72), (150, 60), tyre, 10)
        else:
            for a, b in [
                ((56, 196), (112, 196)),
                ((112, 196), (92, 90)),
                ((56, 196), (96, 112)),
                ((96, 112), (178, 102)),
                ((112, 196), (180, 110)),
                ((200, 196), (172, 72)),
            ]:
                cv2.line(picture, a, b, frame, 9)
            cv2.line(picture, (74, 86), (112, 88), tyre, 10)
            cv2.line(picture, (172, 74), (150, 66), tyre, 8)
        return picture

    return draw


VEHICLE_PATTERNS: dict[str, Pattern] = {
    "car_glass": car_glass,
    "car_front": car_front,
    "car_rear": car_rear,
    "car_side": car_side,
    "bus_side": coach(8, (50, 130), False),
    "tram_side": coach(6, (60, 150), True),
    "coach_front": coach_front,
    "cargo": cargo,
    "wheel": wheel,
    "bicycle": cycle(False),
    "motorcycle": cycle(True),
}
