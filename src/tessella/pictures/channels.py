"""Channels of a feature as pictures (figure 6.4 of the thesis)."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# Dark blue over grey to yellow, brightness rising all the way: told apart in print and by the colour-blind.
_STOPS = np.array([(0, 34, 78), (84, 86, 108), (124, 123, 120), (178, 164, 107), (255, 233, 69)])


def channel_picture(
    channel: Float[np.ndarray, "h w"], low: float, high: float, size: tuple[int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """Dark blue at ``low`` and below, yellow at ``high`` and above; enlarged to ``size`` without smoothing."""
    share = np.clip((channel - low) / max(high - low, 1e-12), 0, 1)
    places = np.linspace(0, 1, len(_STOPS))
    colors = np.stack([np.interp(share, places, _STOPS[:, c]) for c in range(3)], 2).astype(np.uint8)
    return cv2.resize(colors, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
