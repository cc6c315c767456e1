"""Depth without holes."""

import cv2
import numpy as np

from tessella.errors import InputError


def fill_depth(depth: np.ndarray) -> np.ndarray:
    """Depth [H, W] in metres with its holes, 0 or not finite, filled from around them: float32; the rest stays.

    Known pixels are averaged into ever smaller pictures until there are no holes; holes are read from the next smaller
    picture that knows them (pull-push, Gortler et al., SIGGRAPH 1996).

    Raises InputError where all is missing.
    """
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        raise InputError("depth is missing everywhere: there is nothing to fill it from")
    return _fill(np.where(known, depth, 0).astype(np.float32), known.astype(np.float32))


def _fill(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``total / weight``, where the weight is 0 from a picture of half the size."""
    if weight.all():
        return total / weight
    height, width = weight.shape
    half = -(-width // 2), -(-height // 2)
    coarse = _fill(*(cv2.resize(part, half, interpolation=cv2.INTER_AREA) for part in (total, weight)))
    spread = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.divide(total, weight, out=spread, where=weight > 0)
