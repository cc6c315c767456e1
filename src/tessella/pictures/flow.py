"""Optical flow as colours."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8


def flow_picture(
    flow: Float[np.ndarray, "height width 2"], largest: float | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Flow in pixels, x to the right and y down: its direction as hue, its length as saturation.

    Red moves right, yellow-green down, cyan left, violet up; white stands still; what is not finite is black.
    Motion of `largest` pixels or more, by default the 99th percentile, has full colour.
    """
    known = np.isfinite(flow).all(axis=-1)
    x, y = np.moveaxis(np.where(known[..., None], flow, 0).astype(np.float32), -1, 0)
    length = np.hypot(x, y)
    if largest is None:
        largest = float(np.percentile(length[known], 99)) if known.any() else 1.0
    hue = np.degrees(np.arctan2(y, x)) % 360
    saturation = np.clip(length / max(largest, 1e-6), 0, 1)
    hsv = np.stack([hue, saturation, np.ones_like(hue)], axis=-1).astype(np.float32)
    picture = np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)
    picture[~known] = 0
    return picture


def flow_wheel(size: int = 128) -> UInt8[np.ndarray, "size size 3"]:
    """The key to `flow_picture`: each pixel has the colour of the motion from the centre to it."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    flow = np.stack(np.meshgrid(axis, axis), axis=-1)
    picture = flow_picture(flow, largest=1.0)
    picture[np.hypot(flow[..., 0], flow[..., 1]) > 1] = 255
    return picture
