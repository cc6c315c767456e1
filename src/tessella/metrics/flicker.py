"""Flicker: how often labels change on what stays the same, from one frame of a video to the next."""

import numpy as np
from jaxtyping import Bool, Float, Integer

from tessella.errors import InputError

Labels = Integer[np.ndarray, "height width"]


def flicker(
    labels: Labels,
    next_labels: Labels,
    flow: Float[np.ndarray, "height width 2"],
    visible: Bool[np.ndarray, "height width"],
) -> float:
    """The share of pixels, 0 to 1, whose label differs from the one at the pixel that they move to.

    flow: to the next frame, in pixels right and down, estimated or exact; its end is rounded to whole pixels.
    visible: which pixels are still seen in the next frame. Others do not count, nor those that leave the picture.

    nan where no pixel counts. Raises InputError where sizes differ.
    """
    score = Flicker()
    score.update(labels, next_labels, flow, visible)
    return score.compute()


class Flicker:
    """``flicker`` over the pairs of consecutive frames of any number of videos; every pixel counts the same.

    changed, followed: pixels, so far.
    """

    def __init__(self) -> None:
        self.changed = self.followed = 0

    def update(
        self,
        labels: Labels,
        next_labels: Labels,
        flow: Float[np.ndarray, "height width 2"],
        visible: Bool[np.ndarray, "height width"],
    ) -> None:
        """Count one pair of frames, given as to ``flicker``."""
        height, width = labels.shape
        if not next_labels.shape == visible.shape == flow.shape[:2] == labels.shape or flow.shape[2:] != (2,):
            raise InputError(
                f"labels are {list(labels.shape)}, the next {list(next_labels.shape)}, flow {list(flow.shape)}, "
                f"visible {list(visible.shape)}: give [H, W], [H, W], [H, W, 2] and [H, W] of one size"
            )
        rows, columns = np.nonzero(visible & np.isfinite(flow).all(2))
        right, down = flow[rows, columns].T
        to_row, to_column = np.floor(rows + down + 0.5), np.floor(columns + right + 0.5)
        inside = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
        now = labels[rows[inside], columns[inside]]
        then = next_labels[to_row[inside].astype(int), to_column[inside].astype(int)]
        self.followed += now.size
        self.changed += int((now != then).sum())

    def compute(self) -> float:
        return self.changed / self.followed if self.followed else float("nan")
