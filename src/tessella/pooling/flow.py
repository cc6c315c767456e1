"""Optical flow between frames of a video, and which of it to believe."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import cv2
import numpy as np

from tessella.errors import InputError

MOST_MATCHES = 2**15 - 2
"""That OpenCV interpolates between."""

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes two images [H, W, 3]; gives how far each pixel of the first has moved, [H, W, 2], right and down in pixels."""


def optical_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense flow [H, W, 2] float32 from one image [H, W, 3] uint8 to the next, in pixels to the right and down.

    Dense inverse search (Kroeger et al., ECCV 2016) down to single pixels.
    """
    a, b = _grey(first), _grey(second)
    if a.shape != b.shape:
        raise InputError(f"frames of {list(a.shape)} and {list(b.shape)} pixels: give one size")
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    try:
        return search.calc(a, b, None)  # type: ignore[call-overload]
    except cv2.error as error:
        raise InputError(
            f"frames of {list(a.shape)} pixels are too small for flow: give 12x12 or more"
        ) from error


def interpolated_flow(
    first: np.ndarray, second: np.ndarray, boundaries: np.ndarray | None = None, flow: Flow = optical_flow
) -> np.ndarray:
    """Flow [H, W, 2] from matches that hold both ways, spread from pixel to pixel but not across boundaries.

    This is the interpolation of EpicFlow (Revaud et al., CVPR 2015). boundaries: [H, W], how strong the edge is at each
    pixel, from 0 to 1, as ``boundary_strength`` gives it; without them, those of the image are used.

    Raises InputError where boundaries or flow are of another size than the images.
    """
    size = first.shape[:2]
    if boundaries is not None and boundaries.shape != size:
        raise InputError(f"boundaries are {list(boundaries.shape)}, the image {list(size)}: give one size")
    forward = flow(first, second)
    if forward.shape != (*size, 2):
        raise InputError(f"flow is {list(forward.shape)}, the image {list(size)}: give [H, W, 2] of its size")
    kept = consistent(forward, flow(second, first))
    rows, columns = _matches(kept)
    if len(rows) < 4:
        return forward
    start = np.stack([columns, rows], axis=1).astype(np.float32)
    interpolator = cv2.ximgproc.createEdgeAwareInterpolator()
    if boundaries is not None:
        interpolator.setCostMap(np.asarray(boundaries, np.float32))
    return interpolator.interpolate(first, start, second, start + forward[rows, columns])


def _matches(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of kept pixels, every 8 pixels, or wider apart where OpenCV would be given too many."""
    for step in count(8):
        rows, columns = kept[4::step, 4::step].nonzero()
        if len(rows) <= MOST_MATCHES:
            break
    return 4 + step * rows, 4 + step * columns


def consistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where going along ``forward`` and back along ``backward`` leads home, but for a pixel and 5% of the way: [H, W].

    What is hidden in the other frame, or lies outside, is not.
    """
    height, width = forward.shape[:2]
    x, y = positions(forward)
    error = forward + cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & (cv2.magnitude(*cv2.split(error)) < 1 + 0.05 * cv2.magnitude(*cv2.split(forward)))


@dataclass(frozen=True)
class Motion:
    """Flow [H, W, 2] from one frame of a video to the next, and back. What is to be believed is found out once."""

    forward: np.ndarray
    backward: np.ndarray

    @classmethod
    def between(cls, first: np.ndarray, second: np.ndarray, flow: Flow = optical_flow) -> "Motion":
        """Of two images [H, W, 3] uint8."""
        return cls(flow(first, second), flow(second, first))

    @cached_property
    def forward_holds(self) -> np.ndarray:
        """Where in the first frame ``forward`` is to be believed: [H, W]."""
        return consistent(self.forward, self.backward)

    @cached_property
    def backward_holds(self) -> np.ndarray:
        """Where in the second frame ``backward`` is to be believed: [H, W]."""
        return consistent(self.backward, self.forward)


def positions(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row [H, W] float32 that the flow leads each pixel to."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return x, y


def _grey(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise InputError(f"a frame is {image.dtype} {list(image.shape)}: give uint8 [H, W, 3]")
    return (
        image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    )
