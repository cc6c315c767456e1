"""Conditions that images are generated from: landmark heat maps, normals, label maps, edges; [H, W, C] float32."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tessella.datasets.files import label_table, read_channels
from tessella.datasets.resizing import resized
from tessella.datasets.sample import IGNORE_INDEX
from tessella.errors import InputError

CANNY_THRESHOLDS = (100, 200)
"""Of the gradient of 8-bit grey by 3 x 3 Sobel filters: no edge is below the first, edges start above the second."""
NORMALS_MIRRORED = (-1.0, 1.0, 1.0)
"""What a mirror does to the channels of normals."""
LENGTHS = (0.5, 1.1)
"""Of what may be a unit vector in 8 bits, or a mean of several."""


def require_condition(condition: str, known: Sequence[str]) -> None:
    """InputError where ``condition`` is none of the known kinds."""
    if condition not in known:
        raise InputError(f"condition {condition!r}: is not known; choose one of {', '.join(known)}")


def heat_maps(landmarks: np.ndarray, size: tuple[int, int], *, sigma: float, path: Path) -> np.ndarray:
    """One channel for each landmark, [H, W, L] float32.

    landmarks: [L, 2] x and y, the centre of the first pixel at 0. size: height and width. sigma: in pixels, of a
    Gaussian that is 1 at the landmark; 0 for the one pixel that holds it, with the value 1.

    InputError, naming ``path``, for a landmark outside the image: moved to the border it would tell of a place where
    it is not, left out it would not tell of an occluded one, so the crop must be larger.
    """
    if not 0 <= sigma < np.inf:
        raise InputError(f"sigma: is {sigma}; give pixels, or 0 for one pixel a landmark")
    height, width = size
    pixels = np.floor(landmarks + 0.5)
    outside = ((pixels < 0) | (pixels >= [width, height])).any(axis=1)
    if outside.any():
        which = int(outside.argmax())
        x, y = landmarks[which]
        raise InputError(
            f"{path}: landmark {which} at ({x:.1f}, {y:.1f}) lies outside the {width}x{height} image; enlarge the crop"
        )
    if sigma == 0:
        pixels = pixels.astype(int)
        # Channel by channel in memory, as tensors are: exchanging the axes of so many zeros would cost the most.
        maps = np.zeros((len(landmarks), height, width), np.float32)
        maps[np.arange(len(landmarks)), pixels[:, 1], pixels[:, 0]] = 1
        return maps.transpose(1, 2, 0)
    across, down = (
        np.exp(-((np.arange(length)[:, None] - landmarks[:, axis]) ** 2) / (2 * sigma**2)).astype(np.float32)
        for axis, length in ((0, width), (1, height))
    )
    return down[:, None] * across


def read_normals(path: Path) -> np.ndarray:
    """Surface normals [H, W, 3] float32 in [-1, 1] of an 8-bit PNG, red, green, blue = (n + 1) / 2 * 255.

    Pixels that are exactly black or middle grey (127 or 128) have no normal: 0. No unit vector is stored as either.

    InputError where it is another picture: most of its vectors are no unit vectors, by a wide margin.
    """
    picture = read_channels(path)
    if picture.dtype != np.uint8 or picture.shape[2] != 3:
        raise InputError(
            f"{path}: has {picture.shape[2]} channels of {8 * picture.itemsize} bits; store normals as 8-bit RGB"
        )
    normals = picture.astype(np.float32) / np.float32(127.5) - 1
    is_grey = (picture == picture[:, :, :1]).all(axis=2)
    normals[is_grey & np.isin(picture[:, :, 0], (0, 127, 128))] = 0
    lengths = np.linalg.norm(normals, axis=2)
    lengths = lengths[lengths > 0]
    others = float(((lengths < LENGTHS[0]) | (lengths > LENGTHS[1])).mean()) if len(lengths) else 0.0
    if others > 0.5:
        raise InputError(
            f"{path}: {others:.0%} of its pixels are no normals, red, green, blue = (n + 1) / 2 * 255 of unit "
            "vectors; is it another picture?"
        )
    return normals


def is_normals(condition: np.ndarray) -> bool:
    """Whether [H, W, C] maps are normals, which may have no negative part; those of labels are of zeros and ones."""
    return condition.shape[2] == 3 and not ((condition == 0) | (condition == 1)).all()


def encode_normals(normals: np.ndarray) -> np.ndarray:
    """What ``read_normals`` reads, [H, W, 3] uint8: normals in [-1, 1], and black where they are 0."""
    picture = np.round((normals + 1) * 127.5).clip(0, 255).astype(np.uint8)
    picture[(normals == 0).all(axis=2)] = 0
    return picture


def resized_normals(normals: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Normals in another (height, width): averaged and unit vectors again; 0 where most of a pixel had none."""
    if normals.shape[:2] == size:
        return normals
    average = resized(normals, size)
    length = np.linalg.norm(average, axis=2, keepdims=True)
    return np.where(length >= 0.5, average / np.maximum(length, 0.5), 0).astype(np.float32)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """[H, W] uint8 to [H, W, classes] float32; all 0 where the label is 255."""
    return (labels[:, :, None] == np.arange(classes)).astype(np.float32)


def plain_labels(classes: int) -> np.ndarray:
    """The table of ids 0 to classes - 1, and 255 for none; InputError for fewer than two classes."""
    if not 2 <= classes <= 254:
        raise InputError(f"classes: {classes} given; say how many the label maps have, 2 to 254")
    return label_table({index: index for index in range(classes)} | {IGNORE_INDEX: IGNORE_INDEX})


def edge_map(image: np.ndarray) -> np.ndarray:
    """Edges of an image [H, W, 3] uint8 after Canny (1986), [H, W, 1] float32, 0 or 1."""
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), *CANNY_THRESHOLDS)
    return (edges > 0).astype(np.float32)[:, :, None]
