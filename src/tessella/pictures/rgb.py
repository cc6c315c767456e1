"""Any image as 8-bit RGB."""

import numpy as np
from jaxtyping import Shaped, UInt8

from tessella.errors import InputError


def to_rgb8(
    image: Shaped[np.ndarray, "height width *channels"], channels: tuple[int, int, int] = (0, 1, 2)
) -> UInt8[np.ndarray, "height width 3"]:
    """What an image of any depth and any number of channels looks like.

    Of three or more channels, `channels` are shown as red, green and blue; of fewer, the first as grey. 8-bit
    values stay as they are. All others, integers or floats, are stretched so that the 1st and 99th percentile
    of the shown values become black and white; the channels share one stretch, which keeps hues. NaN and
    infinities are black.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] == 0:
        raise InputError(f"image has shape {image.shape}; give [height, width] or [height, width, channels]")
    if image.shape[-1] < 3:
        channels = (0, 0, 0)
    elif not all(0 <= channel < image.shape[-1] for channel in channels):
        raise InputError(f"channels {channels} are not all among the {image.shape[-1]} of the image")
    shown = image[..., list(channels)]
    if shown.dtype == np.uint8:
        return shown
    values = shown.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(shown.shape, dtype=np.uint8)
    low, high = np.percentile(values[finite], (1, 99))
    stretched = np.clip((values - low) / max(high - low, np.finfo(np.float64).tiny), 0, 1)
    return np.round(255 * np.where(finite, stretched, 0)).astype(np.uint8)
