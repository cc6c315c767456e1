"""What data sets for conditional image generation yield: an image and the condition that it answers to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from tessella.errors import InputError

PLACE_SIZE = 16
"""Height and width that a condition is averaged down to where it has no landmarks."""


@dataclass(frozen=True)
class Pair:
    """One image and the condition that it answers to.

    id: stable and unique within the data set, e.g. ``"train/00012"``; usable as a file name stem.
    condition: [H, W, C] float32; what its channels mean is the data set's.
    image: [H, W, 3] uint8, RGB; None for a condition alone, which images are to be made of.
    place: [D] float32, where the condition stands among others: a small mean absolute difference of two places
        means that the conditions are alike. Landmarks: x and y of each divided by the width; other
        conditions: the condition averaged down to 16 x 16 and flattened.
    landmarks: [L, 2] float32, x and y in pixels of the image, the centre of the first pixel at 0; None where
        the condition is none of landmarks.
    """

    id: str
    condition: np.ndarray
    image: np.ndarray | None
    place: np.ndarray
    landmarks: np.ndarray | None = None


class PairedDataset(Protocol):
    """What generators ask of a data set; ``ids[i]`` is ``self[i].id``, known without reading."""

    @property
    def condition_channels(self) -> int: ...

    @property
    def ids(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...

    def mirror(self, pair: Pair) -> Pair:
        """The pair as in a mirror, left and right exchanged; twice is the pair itself."""
        ...


def own_image(pair: Pair) -> np.ndarray:
    """InputError where the pair is a condition alone."""
    if pair.image is None:
        raise InputError(f"{pair.id}: has a condition but no image; add it to train with or to compare with")
    return pair.image


def paired(
    id: str, condition: np.ndarray, image: np.ndarray | None, landmarks: np.ndarray | None = None
) -> Pair:
    """The pair of an image and its condition, with its place (see ``Pair``) worked out."""
    if landmarks is not None:
        place = (landmarks / condition.shape[1]).astype(np.float32).ravel()
    else:
        channels = np.ascontiguousarray(condition.transpose(2, 0, 1))  # OpenCV averages up to four at a time
        size = (PLACE_SIZE, PLACE_SIZE)
        place = np.stack(
            [cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in channels], axis=2
        ).ravel()
    return Pair(id, condition, image, place, landmarks)


def mirrored(pair: Pair, *, order: Sequence[int] | None = None, signs: Sequence[float] = (1.0,)) -> Pair:
    """The pair as in a mirror: columns reversed, and the channels of the condition as the rule of its kind says.

    order: which channel (and landmark) of the pair each one of the result was; None leaves them. signs: factors of
    the channels. Landmark heat maps exchange left and right landmarks, normals turn their x round.
    """
    channels = list(range(pair.condition.shape[2])) if order is None else list(order)
    # Channel by channel, as heat maps lie in memory. A list, not a slice: what it picks is a copy.
    maps = pair.condition.transpose(2, 0, 1)[channels][..., ::-1]
    condition = (maps * np.array(signs, np.float32)[:, None, None]).transpose(1, 2, 0)
    landmarks = pair.landmarks
    if landmarks is not None:
        landmarks = landmarks[channels]
        landmarks[:, 0] = pair.condition.shape[1] - 1 - landmarks[:, 0]
    image = None if pair.image is None else np.ascontiguousarray(pair.image[:, ::-1])
    return paired(pair.id, condition, image, landmarks)
