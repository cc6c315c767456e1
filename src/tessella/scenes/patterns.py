"""Procedural pictures for surfaces: [SIDE, SIDE, 3 or 4] in 0..1, linear light, repeating in both directions.

Most are greys that a surface colours. The fourth channel, where there is one, says where it is solid.
"""

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 256
Pattern = Callable[[np.random.Generator], np.ndarray]


def clouds(
    rng: np.random.Generator, roughness: float = 1.5, stretch: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """Noise [SIDE, SIDE] of mean 0 and deviation 1 whose amplitude falls with frequency ** -roughness."""
    fy = np.fft.fftfreq(SIDE)[:, None] * SIDE * stretch[0]
    fx = np.fft.rfftfreq(SIDE)[None] * SIDE * stretch[1]
    frequency = np.maximum(np.hypot(fy, fx), 1)
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * frequency**-roughness
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return noise / noise.std()


def grey(values: np.ndarray) -> np.ndarray:
    """Values [SIDE, SIDE] as a grey picture."""
    return np.repeat(np.clip(values, 0, 1)[..., None], 3, axis=2)


def rough(contrast: float, roughness: float = 1.0, stretch: tuple[float, float] = (1, 1)) -> Pattern:
    """Grainy to blotchy noise."""
    return lambda rng: grey(0.75 + contrast * clouds(rng, roughness, stretch))


def cells(
    columns: int, rows: int, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Column and row number of the grid cell at each texel, and the position 0..1 inside it."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    row = np.floor(y * rows)
    x = x * columns + shift * (row % 2)
    return np.floor(x).astype(int) % columns, row.astype(int), x % 1, (y * rows) % 1


def masonry(columns: int, rows: int, shift: float, joint: float, spread: float, gap: float = 0.45) -> Pattern:
    """Stones or tiles in rows: every one with its own shade, joints of relative width and brightness."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        column, row, x, y = cells(columns, rows, shift)
        shade = 0.75 + spread * rng.standard_normal((rows, columns))[row, column] + 0.05 * clouds(rng, 0.7)
        edge = np.minimum(np.minimum(x, 1 - x) / columns, np.minimum(y, 1 - y) / rows) * max(columns, rows)
        return grey(np.where(edge < joint, gap, shade))

    return draw


def stripes(count: int, contrast: float, upright: bool = True, sharp: bool = True) -> Pattern:
    """Stripes of alternating brightness with some weave."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
        wave = np.sin(2 * np.pi * count * (x if upright else y))
        wave = np.sign(wave) if sharp else wave
        return grey(0.7 + contrast * wave + 0.03 * clouds(rng, 0.3))

    return draw


def blobs(rng: np.random.Generator, count: int, radius: tuple[int, int], tones: np.ndarray) -> np.ndarray:
    """Overlapping ellipses of random tones that repeat across the borders."""
    picture = np.full((SIDE, SIDE, 3), tones[0], np.float64)
    for _ in range(count):
        centre, tone = rng.integers(0, SIDE, 2), tones[rng.integers(len(tones))] * rng.uniform(0.7, 1.2)
        axes, angle = rng.integers(*radius, 2), int(rng.integers(180))
        for dx in (-SIDE, 0, SIDE):
            for dy in (-SIDE, 0, SIDE):
                place = (int(centre[0]) + dx, int(centre[1]) + dy)
                if not all(-radius[1] < coordinate < SIDE + radius[1] for coordinate in place):
                    continue
                cv2.ellipse(picture, place, (int(axes[0]), int(axes[1])), angle, 0, 360, tone.tolist(), -1)
    return picture


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Dense leaves, dark gaps between them."""
    tones = np.array(
        [[0.25, 0.28, 0.2], [0.5, 0.6, 0.35], [0.7, 0.8, 0.5], [0.9, 1.0, 0.6], [0.45, 0.5, 0.4]]
    )
    return np.clip(blobs(rng, 900, (3, 10), tones), 0, 1)


def foliage(rng: np.random.Generator) -> np.ndarray:
    """Leaves on a ragged round crown with gaps."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    solid = 1.25 - np.hypot(x, y) / 96 + 0.16 * clouds(rng, 1.1) > 0.25
    solid &= clouds(rng, 0.7) > -1.1
    return np.dstack([leaves(rng), solid])


def grass(rng: np.random.Generator) -> np.ndarray:
    """Short grass with worn spots."""
    shade = 0.65 + 0.1 * clouds(rng, 0.5, (0.6, 1)) + 0.06 * clouds(rng, 1.6)
    worn = np.clip(0.5 + 0.35 * clouds(rng, 1.8), 0, 1)[..., None]
    return np.clip(shade[..., None] * (worn * (0.85, 1.0, 0.6) + (1 - worn) * (1.0, 0.95, 0.7)), 0, 1)
