"""Label maps of unlabelled images, made of what a network is sure of (thesis, section 6.2.4)."""

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from tessella.errors import InputError


def pseudo_labels(
    posteriors: Float[np.ndarray, "classes height width"], threshold: float = 0.7
) -> UInt8[np.ndarray, "height width"]:
    """The most likely class where its posterior is above ``threshold``; elsewhere, as where one is NaN, that of the
    nearest such pixel.

    255 everywhere if no pixel is sure. Raises InputError for a threshold outside [0, 1).
    """
    if not 0 <= threshold < 1:
        raise InputError(f"sure {threshold}: a posterior lies in 0 to 1, and some pixel must be above it")
    labels = posteriors.argmax(0).astype(np.uint8)
    unsure = ~(posteriors.max(0) > threshold)
    if unsure.all():
        return np.full_like(labels, 255)
    nearest = ndimage.distance_transform_edt(unsure, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]
