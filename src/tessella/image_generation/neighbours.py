"""Neighbours: other images whose conditions are close, varied in colour (thesis, sections 5.2.2 and 5.3.3)."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numba import njit, prange

from tessella.errors import InputError


def nearest(
    places: Float[np.ndarray, "items dims"], number: int, furthest: float = np.inf
) -> list[np.ndarray]:
    """Of each item the at most ``number`` nearest others by mean absolute difference, nearest first.

    furthest: theta, the largest distance of a neighbour.

    Raises InputError where a place is not finite.
    """
    if not np.isfinite(places).all():
        bad = int(np.flatnonzero(~np.isfinite(places).all(1))[0])
        raise InputError(f"the condition of item {bad} is not finite: check its file")
    number = min(number, len(places) - 1)
    index, distance = _nearest(np.ascontiguousarray(places, np.float32), number)
    return [i[d <= furthest] for i, d in zip(index, distance, strict=True)]


@njit(parallel=True, fastmath=True, cache=True)
def _nearest(places: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover
    items, dims = places.shape
    index = np.zeros((items, number), np.int64)
    distance = np.full((items, number), np.inf, np.float32)
    for item in prange(items):
        row = np.empty(items, np.float32)
        for other in range(items):
            total = np.float32(0)
            for k in range(dims):
                total += abs(places[item, k] - places[other, k])
            row[other] = total / dims
        row[item] = np.inf
        order = np.argsort(row, kind="mergesort")[:number] if number else np.zeros(0, np.int64)
        index[item], distance[item] = order, row[order]
    return index, distance


def color_histogram(
    image: UInt8[np.ndarray, "height width 3"], bins: tuple[int, int, int] = (8, 4, 4)
) -> np.ndarray:
    """Shares [bins] of hue, saturation and value, of RGB."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(bins), [0, 180, 0, 256, 0, 256])
    return (counts / (image.shape[0] * image.shape[1])).astype(np.float32).ravel()


def varied(
    candidates: np.ndarray,
    histograms: Float[np.ndarray, "items bins"],
    number: int,
    random: np.random.Generator,
) -> list[int]:
    """At most ``number`` of the candidates, one at random of each cluster (k-means) of their histograms."""
    if len(candidates) <= number:
        return [int(c) for c in candidates]
    chosen = histograms[candidates]
    clusters = _clusters(chosen, number, random)
    return [int(random.choice(candidates[clusters == c])) for c in np.unique(clusters)]


def _clusters(points: np.ndarray, number: int, random: np.random.Generator, rounds: int = 10) -> np.ndarray:
    """k-means from distinct points of ``random``'s choice."""
    centers = points[random.choice(len(points), number, replace=False)]
    for _ in range(rounds):
        distances = ((points[:, None] - centers[None]) ** 2).sum(2)
        clusters = distances.argmin(1)
        centers = np.stack(
            [points[clusters == c].mean(0) if (clusters == c).any() else centers[c] for c in range(number)]
        )
    return clusters


class Neighbours:
    """Draws neighbours of the items of a data set.

    Args:
        places: [N, D], see ``nearest``.
        histograms: [N, bins], of colours, by which neighbours are varied.
        number: of neighbours that are drawn.
        candidates: of the nearest so many they are drawn.
        quantile: and no further than this share of all distances between two items at random; 1 for no limit.
    """

    def __init__(
        self,
        places: np.ndarray,
        histograms: np.ndarray,
        number: int,
        candidates: int = 50,
        quantile: float = 0.1,
    ) -> None:
        if number > candidates:
            raise InputError(f"neighbours: {number} of {candidates} candidates; give more candidates")
        self.number = number
        self.near = nearest(places, candidates, _quantile(places, quantile))
        self.histograms = histograms

    def draw(self, item: int, random: np.random.Generator) -> list[int]:
        return varied(self.near[item], self.histograms, self.number, random)


def _quantile(places: np.ndarray, quantile: float) -> float:
    """Of the distances between 20,000 pairs of different items."""
    random = np.random.default_rng(0)
    first = random.integers(len(places), size=20_000)
    second = (first + random.integers(1, max(len(places), 2), size=20_000)) % len(places)
    return float(np.quantile(np.abs(places[first] - places[second]).mean(1), quantile))
