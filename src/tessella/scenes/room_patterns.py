"""Procedural pictures of rooms: floors, cloth, wood, books, paintings, screens and views through windows."""

import cv2
import numpy as np

from tessella.scenes.patterns import SIDE, Pattern, blobs, clouds, grey, masonry, rough, stripes


def parquet(rng: np.random.Generator) -> np.ndarray:
    """Boards of different shades with grain."""
    shade = masonry(2, 8, 0.5, 0.012, 0.1, 0.4)(rng)
    return np.clip(shade + 0.06 * clouds(rng, 0.8, (1, 0.1))[..., None] * (1, 0.95, 0.9), 0, 1)


def wood(rng: np.random.Generator) -> np.ndarray:
    """Grain along the height."""
    rings = np.sin(18 * (np.linspace(0, 2 * np.pi, SIDE)[None] / 3 + 0.22 * clouds(rng, 1.6, (0.25, 1))))
    return grey(0.72 + 0.07 * rings + 0.05 * clouds(rng, 0.6, (0.1, 1)))


def drawers(columns: int, rows: int) -> Pattern:
    """Fronts of doors or drawers with handles."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = wood(rng)
        for row in range(rows):
            for column in range(columns):
                x0, x1 = column * SIDE // columns, (column + 1) * SIDE // columns
                y0, y1 = row * SIDE // rows, (row + 1) * SIDE // rows
                cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), (0.2, 0.18, 0.16), 3)
                cv2.rectangle(picture, (x0 + 10, y0 + 8), (x1 - 11, y1 - 9), (0.5, 0.48, 0.46), 2)
                middle = (x0 + x1) // 2
                handle = (middle - 12, (y0 + y1) // 2 - 3), (middle + 12, (y0 + y1) // 2 + 3)
                cv2.rectangle(picture, *handle, (0.1, 0.1, 0.1), -1)
        return picture

    return draw


def door(rng: np.random.Generator) -> np.ndarray:
    """Two panels and a handle."""
    picture = grey(0.78 + 0.02 * clouds(rng, 0.8, (0.1, 1)))
    for y0, y1 in ((20, 110), (130, 240)):
        cv2.rectangle(picture, (40, y0), (216, y1), (0.5, 0.5, 0.5), 3)
        cv2.rectangle(picture, (46, y0 + 6), (210, y1 - 6), (0.85, 0.85, 0.85), 2)
    cv2.circle(picture, (232, 134), 8, (0.25, 0.22, 0.15), -1)
    picture[:4] = picture[:, :6] = picture[:, -6:] = 0.45
    return picture


def book_spines(rows: int) -> Pattern:
    """Rows of book spines of many colours on dark shelves."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture = np.full((SIDE, SIDE, 3), 0.05)
        step = SIDE // rows
        for row in range(rows):
            x, floor = 0, (row + 1) * step - 3
            while x < SIDE:
                width, tall = int(rng.integers(8, 24)), int(step * rng.uniform(0.62, 0.92))
                paint = rng.choice([0.08, 0.25, 0.6], 3) * rng.uniform(0.5, 1.4)
                picture[floor - tall : floor, x : x + width - 1] = np.clip(paint, 0, 1)
                label = floor - tall + tall // 4
                picture[label : label + tall // 7, x + 2 : x + width - 3] = rng.uniform(0.3, 0.9)
                x += width
        return picture

    return draw


def cover(rng: np.random.Generator) -> np.ndarray:
    """The cover of a book or magazine: title lines and a picture."""
    picture = np.full((SIDE, SIDE, 3), rng.uniform(0.5, 0.9, 3))
    picture[100:230, 30:226] = blobs(rng, 30, (10, 60), rng.uniform(0.05, 0.9, (4, 3)))[100:230, 30:226]
    picture[30:52, 30:200] = picture[62:76, 30:150] = 0.08
    return np.clip(picture, 0, 1)


def painting(kind: int) -> Pattern:
    """A framed picture: landscape, blots, squares, photograph or line drawing."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        picture: np.ndarray
        if kind == 0:
            picture = np.linspace(1, 0.5, SIDE)[:, None, None] * np.ones((1, SIDE, 1)) * (0.45, 0.6, 0.85)
            for y in (130, 170, 205):
                ridge = (y + 22 * clouds(rng, 2.0)[0]).astype(int)
                picture[np.arange(SIDE)[:, None] > ridge[None]] = rng.uniform(0.05, 0.5, 3)
        elif kind == 1:
            picture = blobs(rng, 50, (12, 60), rng.uniform(0, 1, (5, 3)))
        elif kind == 2:
            palette = rng.uniform(0, 1, (7, 3))
            picture = np.kron(palette[rng.integers(0, 7, (4, 4))], np.ones((64, 64, 1)))
        elif kind == 3:
            picture = grey(0.3 + 0.16 * clouds(rng, 1.9))
            cv2.ellipse(picture, (128, 120), (44, 58), 0, 0, 360, (0.75, 0.7, 0.65), -1)
            cv2.ellipse(picture, (128, 250), (90, 74), 0, 0, 360, (0.15, 0.15, 0.18), -1)
        else:
            picture = np.full((SIDE, SIDE, 3), 0.85)
            for _ in range(14):
                line = np.cumsum(rng.integers(-40, 41, (6, 2)), axis=0) + 128
                cv2.polylines(picture, [line.astype(np.int32)], False, rng.uniform(0, 0.5, 3).tolist(), 3)
        frame = [0.03, 0.9, 0.25][kind % 3]
        picture = np.clip(picture, 0, 1)
        if kind % 2:
            picture[:34] = picture[-34:] = picture[:, :34] = picture[:, -34:] = 0.85
        picture[:12] = picture[-12:] = picture[:, :12] = picture[:, -12:] = frame
        return picture

    return draw


def screen(lit: bool) -> Pattern:
    """A black-framed screen, off with a reflection or showing a broadcast."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
        if lit:
            picture = blobs(rng, 40, (14, 70), rng.uniform(0.05, 0.95, (6, 3)))
            picture[196:226, 20:236] = (0.05, 0.1, 0.4)
            picture[204:216, 34:180] = 0.9
        else:
            picture = grey(0.03 + 0.09 * np.clip(1 - np.abs(x + y - 1.1) * 5, 0, 1))
        picture[:12] = picture[-14:] = picture[:, :10] = picture[:, -10:] = 0.015
        return np.clip(picture, 0, 1)

    return draw


def window_view(kind: int) -> Pattern:
    """What a window shows: sky over trees or houses, or night; with a white cross-bar frame."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        sky = np.array([(0.7, 0.85, 1.0), (0.95, 0.95, 0.95), (0.04, 0.05, 0.12)][kind])
        picture = np.linspace(1, 0.85, SIDE)[:, None, None] * np.ones((1, SIDE, 1)) * sky
        if kind == 0:
            skyline = (150 + 20 * clouds(rng, 1.3)[0]).astype(int)
            trees = blobs(
                rng, 500, (4, 14), np.array([[0.05, 0.12, 0.03], [0.12, 0.25, 0.06], [0.2, 0.3, 0.1]])
            )
            outside = np.arange(SIDE)[:, None] > skyline[None]
            picture[outside] = trees[outside]
        else:
            for x in range(0, SIDE, 52):
                top = int(rng.integers(60, 190))
                picture[top:, x : x + 46] = rng.uniform(0.15, 0.4, 3) * (1 if kind == 1 else 0.1)
                for y in range(top + 10, SIDE, 24):
                    picture[y : y + 10, x + 8 : x + 16] = picture[y : y + 10, x + 26 : x + 34] = rng.choice(
                        [0.1, 0.7]
                    )
        picture[:14] = picture[-14:] = picture[:, :12] = picture[:, -12:] = 0.75
        picture[:, 122:134] = picture[100:108] = 0.75
        return np.clip(picture, 0, 1)

    return draw


def folds(rng: np.random.Generator) -> np.ndarray:
    """Cloth that hangs in folds."""
    x = np.linspace(0, 2 * np.pi, SIDE, endpoint=False)[None]
    return grey(
        0.65 + 0.18 * np.sin(7 * x + 0.9 * np.sin(2 * x)) + 0.08 * np.sin(19 * x) + 0.03 * clouds(rng, 1.0)
    )


def rug(rng: np.random.Generator) -> np.ndarray:
    """A bordered carpet with medallions."""
    paint = rng.uniform(0.05, 0.7, (5, 3))
    picture = np.full((SIDE, SIDE, 3), paint[0])
    for number, inset in enumerate((14, 24, 44, 50)):
        picture[inset : SIDE - inset, inset : SIDE - inset] = paint[(number + 1) % 5]
    for radius in (60, 42, 20):
        diamond = [(128, 128 - radius), (128 + radius, 128), (128, 128 + radius), (128 - radius, 128)]
        cv2.fillPoly(picture, [np.array(diamond, np.int32)], paint[radius % 5].tolist())
    return np.clip(picture * (1 + 0.08 * clouds(rng, 0.3)[..., None]), 0, 1)


def checks(rng: np.random.Generator) -> np.ndarray:
    """Tartan."""
    y, x = np.mgrid[:SIDE, :SIDE] // 16
    band = np.array([0.9, 0.6, 0.9, 0.4])
    return grey(band[x % 4] * 0.5 + band[y % 4] * 0.5 + 0.03 * clouds(rng, 0.3))


def florals(rng: np.random.Generator) -> np.ndarray:
    """Scattered motifs on a light ground."""
    picture = np.full((SIDE, SIDE, 3), 0.85)
    for _ in range(36):
        x, y = (int(value) for value in rng.integers(0, SIDE, 2))
        paint = rng.uniform(0.25, 0.8, 3).tolist()
        for angle in range(0, 360, 72):
            petal = x + int(9 * np.cos(np.radians(angle))), y + int(9 * np.sin(np.radians(angle)))
            cv2.circle(picture, petal, 6, paint, -1)
        cv2.circle(picture, (x, y), 4, (0.8, 0.7, 0.3), -1)
    return picture


def slats(rng: np.random.Generator) -> np.ndarray:
    """Horizontal blinds, bright where light leaks."""
    y = (np.arange(SIDE) % 16) / 16
    return grey(np.repeat((0.55 + 0.4 * y)[:, None], SIDE, axis=1) - 0.4 * (y < 0.12)[:, None])


def writing(rng: np.random.Generator) -> np.ndarray:
    """A sheet of white with lines of text and a plot."""
    picture = np.full((SIDE, SIDE, 3), 0.88)
    for y in range(24, 230, 16):
        if not 90 < y < 160:
            picture[y : y + 5, 24 : int(rng.integers(120, 232))] = 0.25
    plot = np.stack([np.arange(30, 226, 8), 130 + 20 * rng.standard_normal(25)], axis=1).astype(np.int32)
    cv2.polylines(picture, [plot], False, (0.1, 0.1, 0.6), 3)
    return picture


ROOM_PATTERNS: dict[str, Pattern] = {
    "parquet": parquet,
    "carpet": rough(0.09, 0.25),
    "tiles": masonry(4, 4, 0.0, 0.03, 0.03),
    "wood": wood,
    "drawers_3": drawers(1, 3),
    "drawers_6": drawers(2, 3),
    "doors_2": drawers(2, 1),
    "door": door,
    "wallpaper_stripes": stripes(12, 0.06, sharp=False),
    "wallpaper_florals": florals,
    "fabric": rough(0.06, 0.35),
    "weave": masonry(40, 40, 0.5, 0.2, 0.06, 0.55),
    "leather": rough(0.06, 1.0),
    "cloth_stripes": stripes(8, 0.2, upright=False),
    "checks": checks,
    "folds": folds,
    "rug": rug,
    "books_1": book_spines(1),
    "books_4": book_spines(4),
    "cover": cover,
    **{f"painting_{kind}": painting(kind) for kind in range(5)},
    "screen_off": screen(False),
    "screen_on": screen(True),
    **{f"view_{kind}": window_view(kind) for kind in range(3)},
    "blinds": slats,
    "writing": writing,
}
