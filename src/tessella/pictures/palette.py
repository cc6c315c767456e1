"""Colours for classes that have none of their own."""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# Okabe and Ito, "Color universal design", 2008, without black, which stands for ignored pixels.
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

# How linear RGB looks without long or middle wavelength cones: Machado, Oliveira and Fernandes, "A
# physiologically-based model for simulation of color vision deficiency", TVCG 2009, severity 1.
_VISIONS = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    dtype=np.float32,
)


def default_palette(num_classes: int) -> UInt8[np.ndarray, "classes 3"]:
    """Distinct RGB colours, the same for a class whatever the number of classes.

    They begin with the colours of Okabe and Ito. Each further one is the colour, neither very dark nor very
    light, farthest in CIELAB from black, white and all before it, as seen by normal, protanopic and
    deuteranopic eyes, whichever sees it nearest.
    """
    return np.array(_farthest_colors(max(num_classes, len(_OKABE_ITO))), dtype=np.uint8)[:num_classes]


@cache
def _farthest_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = _as_seen(candidates)[0, :, 0]
    candidates = candidates[(lightness > 22) & (lightness < 95)]
    seen = _as_seen(candidates)
    chosen = list(_OKABE_ITO)
    taken = _as_seen(np.array([(0, 0, 0), (255, 255, 255), *chosen], dtype=np.uint8))
    distance = np.full(len(candidates), np.inf)
    for color in range(taken.shape[1]):
        distance = np.minimum(distance, _nearest_seen(seen, taken[:, color]))
    while len(chosen) < count:
        best = int(distance.argmax())
        chosen.append((int(candidates[best, 0]), int(candidates[best, 1]), int(candidates[best, 2])))
        distance = np.minimum(distance, _nearest_seen(seen, seen[:, best]))
    return tuple(chosen)


def _as_seen(colors: UInt8[np.ndarray, "colors 3"]) -> Float[np.ndarray, "visions colors 3"]:
    """CIELAB of sRGB colours as each vision sees them."""
    encoded = colors.astype(np.float32) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("vij,nj->vni", _VISIONS, linear), 0, 1).astype(np.float32)
    return cv2.cvtColor(seen, cv2.COLOR_LRGB2Lab).astype(np.float64)


def _nearest_seen(
    colors: Float[np.ndarray, "visions colors 3"], color: Float[np.ndarray, "visions 3"]
) -> Float[np.ndarray, " colors"]:
    return np.linalg.norm(colors - color[:, None], axis=-1).min(axis=0)
