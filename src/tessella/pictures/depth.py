"""Depth maps as colours."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8


def depth_picture(
    depth: Float[np.ndarray, "height width"], near: float | None = None, far: float | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Depth in metres as colours of the viridis map, from yellow (near) to dark violet (far).

    Missing depth, which is 0, negative or not finite, is black. Without `near` and `far` the range is from
    the 1st to the 99th percentile.
    """
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return np.zeros((*depth.shape, 3), dtype=np.uint8)
    lowest, highest = np.percentile(depth[known], (1, 99))
    near = float(lowest) if near is None else near
    far = float(highest) if far is None else far
    closeness = (far - np.where(known, depth, far)) / max(far - near, 1e-6)
    gray = np.round(255 * np.clip(closeness, 0, 1)).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(gray, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    picture[~known] = 0
    return picture
