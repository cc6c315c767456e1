"""Squares cut out of pictures, and pictures and points in other sizes."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Square:
    """Whole pixels of a picture: columns left to left + side, rows top to top + side; may reach outside of it."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, box: tuple[float, float, float, float], factor: float = 1.0) -> "Square":
        """The square with the centre of a box and its longer side times factor.

        box: left, top, right, bottom in pixels, the left edge of the first pixel at 0.
        """
        left, top, right, bottom = box
        side = max(1, round(factor * max(right - left, bottom - top)))
        return cls(round((left + right - side) / 2), round((top + bottom - side) / 2), side)

    def moved_into(self, height: int, width: int) -> "Square":
        """Moved so far that it does not leave a picture of this size, where it fits."""
        left = min(max(self.left, 0), width - self.side) if self.side <= width else self.left
        top = min(max(self.top, 0), height - self.side) if self.side <= height else self.top
        return Square(left, top, self.side)

    def cut(self, picture: np.ndarray, outside: int = 0) -> np.ndarray:
        """[side, side, ...] of a picture [H, W, ...]; ``outside`` where it has no pixels."""
        height, width = picture.shape[:2]
        cut = np.full((self.side, self.side, *picture.shape[2:]), outside, picture.dtype)
        top, bottom = max(self.top, 0), min(self.top + self.side, height)
        left, right = max(self.left, 0), min(self.left + self.side, width)
        if top < bottom and left < right:
            inside = np.s_[top - self.top : bottom - self.top, left - self.left : right - self.left]
            cut[inside] = picture[top:bottom, left:right]
        return cut


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, ...] in another (height, width): areas averaged where it shrinks, else bilinear."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    shrinks = height <= picture.shape[0] and width <= picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resized_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map [H, W] in another (height, width), by the nearest pixel's centre."""
    height, width = size
    return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def resized_points(points: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Points [L, 2] (x, y; centre of the first pixel at 0) of a picture, after its (height, width) has changed."""
    scale = np.array([new[1] / old[1], new[0] / old[0]], np.float32)
    return (points + np.float32(0.5)) * scale - np.float32(0.5)
