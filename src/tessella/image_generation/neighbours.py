"""Neighbours: other images whose conditions are close, varied in colour (thesis, sections 5.2.2 and 5.3.3)."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numba import njit

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
    places = np.ascontiguousarray(places, np.float32)
    found = []
    for start in range(0, len(places), 256):
        for item, row in enumerate(_distances(places[start : start + 256], places), start):
            row[item] = np.inf
            # To sort the nearest alone takes a tenth of the time of sorting all.
            near = np.flatnonzero(row <= np.partition(row, number - 1)[number - 1])
            order = near[np.argsort(row[near], kind="stable")[:number]]
            found.append(order[row[order] <= furthest])
    return found


@njit(fastmath=True, cache=True)  # not parallel: that changes the number of PyTorch's threads for good
def _distances(some: np.ndarray, places: np.ndarray) -> np.ndarray:  # pragma: no cover
    items, dims = places.shape
    distances = np.empty((len(some), items), np.float32)
    for item in range(len(some)):
        for other in range(items):
            total = np.float32(0)
            for k in range(dims):
                total += abs(some[item, k] - places[other, k])
            distances[item, other] = total / dims
    return distances


def color_histogram(image: UInt8[np.ndarray, "height width 3"]) -> np.ndarray:
    """Shares [8 * 4 * 4] of hue, saturation and value, of RGB."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256])
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


def _clusters(points: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
    """k-means from points far apart (k-means++, Arthur and Vassilvitskii, SODA 2007)."""
    centers = points[random.integers(len(points), size=1)]
    while len(centers) < number:
        apart = ((points[:, None] - centers[None]) ** 2).sum(2).min(1)
        if not apart.any():
            break  # no further point differs from these
        centers = np.append(centers, points[random.choice(len(points), 1, p=apart / apart.sum())], 0)
    for _ in range(10):
        distances = ((points[:, None] - centers[None]) ** 2).sum(2)
        clusters = distances.argmin(1)
        centers = np.stack(
            [
                points[clusters == c].mean(0) if (clusters == c).any() else centers[c]
                for c in range(len(centers))
            ]
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
        if not 1 <= number <= candidates:
            raise InputError(
                f"neighbours: {number} of {candidates} candidates; give 1 to {candidates}, or more candidates"
            )
        if not 0 < quantile <= 1:
            raise InputError(f"quantile is {quantile}: a share of all distances lies between 0 and 1")
        if not 0 < len(places) == len(histograms):
            raise InputError(
                f"there are {len(places)} places and {len(histograms)} histograms: give one of each item"
            )
        self.number = number
        self.near = nearest(places, candidates, _quantile(places, quantile))
        self.histograms = histograms

    def draw(self, item: int, random: np.random.Generator) -> list[int]:
        return varied(self.near[item], self.histograms, self.number, random)


def _quantile(places: np.ndarray, quantile: float) -> float:
    """Of the distances between 20,000 pairs of different items."""
    if quantile == 1:
        return np.inf
    random = np.random.default_rng(0)
    first = random.integers(len(places), size=20_000)
    second = (first + random.integers(1, max(len(places), 2), size=20_000)) % len(places)
    parts = zip(np.array_split(first, 100), np.array_split(second, 100), strict=True)  # places may be large
    distances = np.concatenate([np.abs(places[a] - places[b]).mean(1) for a, b in parts])
    return float(np.quantile(distances, quantile))
