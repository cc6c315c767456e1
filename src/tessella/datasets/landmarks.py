"""Facial landmarks: .pts files, the 68 points of 300-W, and pairs of faces with their heat maps."""

from pathlib import Path

import numpy as np

from tessella.datasets.conditions import heat_maps
from tessella.datasets.pairs import Pair, mirrored, paired
from tessella.datasets.resizing import resized, resized_points
from tessella.errors import InputError

MIRRORED_68 = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *range(54, 47, -1),  # outer lips, above and below
    *range(59, 54, -1),
    *range(64, 59, -1),  # inner lips, above and below
    *range(67, 64, -1),
)
"""Landmark i in the mirror, of the 68 points (Sagonas et al., 300-W, ICCV workshops 2013) is MIRRORED_68[i]."""


def read_pts(path: Path, first: float = 1.0) -> np.ndarray:
    """Landmarks [L, 2] float32, x and y in pixels, the centre of the first pixel at 0.

    first: the coordinate that the file gives the centre of the first pixel; 300-W counts from 1.

    InputError: the file cannot be read, is cut off, or does not hold as many points as it says.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; check that it exists and is a .pts file") from error
    head, opened, rest = text.partition("{")
    body, closed, _ = rest.partition("}")
    try:
        points = np.array(
            [[float(value) for value in line.split()] for line in body.split("\n") if line.strip()]
        )
        count = int(head.split("n_points:")[1].split()[0])
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: is no .pts file; write 'n_points: 68' and one 'x y' a line in braces"
        ) from error
    if not (opened and closed) or count < 1 or points.shape != (count, 2) or not np.isfinite(points).all():
        raise InputError(f"{path}: does not hold {count} points in braces; replace it with an intact copy")
    return (points - first).astype(np.float32)


def read_face(path: Path, first: float = 1.0) -> np.ndarray:
    """``read_pts`` of a file of the 68-point scheme; InputError for any other number of landmarks."""
    landmarks = read_pts(path, first)
    if len(landmarks) != len(MIRRORED_68):
        raise InputError(
            f"{path}: holds {len(landmarks)} landmarks; faces have the {len(MIRRORED_68)} of 300-W"
        )
    return landmarks


def landmark_pair(
    id: str, image: np.ndarray, landmarks: np.ndarray, size: tuple[int, int], sigma: float, path: Path
) -> Pair:
    """The pair of an image [H, W, 3], resized to (height, width), and the heat maps of its landmarks.

    path: where the landmarks are from, for the InputError about one outside the image.
    """
    landmarks = resized_points(landmarks, image.shape[:2], size)
    condition = heat_maps(landmarks, size, sigma=sigma, path=path)
    return paired(id, condition, resized(image, size), landmarks)


def mirrored_face(pair: Pair) -> Pair:
    """The face as in a mirror, its left landmarks those that were right."""
    return mirrored(pair, order=MIRRORED_68)
