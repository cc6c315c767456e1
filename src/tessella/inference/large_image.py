"""Label maps of images too large for their posteriors to fit in memory."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tessella.errors import InputError
from tessella.inference.sliding_window import Windows, finished_bands
from tessella.inference.whole_image import Predict

STRIP_WIDTH = 8192
"""Columns whose scores are held at once."""


def label_map_of_large_image(
    predict: Predict,
    image: np.ndarray,
    prepare: Callable[[np.ndarray], Tensor],
    windows: Windows,
    *,
    labels: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
) -> np.ndarray:
    """Most probable class of each pixel, the same as ``sliding_window(...).argmax(1)`` gives.

    image: [H, W, C], read a window at a time: an array, a memory map, or anything with ``shape`` that can
        be sliced alike (an HDF5 or Zarr data set).
    prepare: from a part [h, w, C] of the image to a float tensor [C, h, w], each pixel by itself
        (normalisation).
    labels: [H, W] uint8, filled and returned; give a memory map where even the label map is too large.
    confidence: [H, W] float, filled with the largest score of each pixel: its posterior where ``predict``
        gives posteriors. Not computed where it is not given.

    Scores are held for one window's height of at most ``STRIP_WIDTH`` columns, whatever the image's size.
    Windows that reach over the edge of a strip are computed for both strips. Raises InputError where an array
    has another shape than the image or there are more than 256 classes.
    """
    height, width = image.shape[:2]
    labels = np.empty((height, width), np.uint8) if labels is None else labels
    for name, array in (("labels", labels), ("confidence", confidence)):
        if array is not None and array.shape != (height, width):
            raise InputError(f"{name}: shape {list(array.shape)}; give the image's {[height, width]}")

    def read(rows: slice, columns: slice) -> Tensor:
        return prepare(np.array(image[rows, columns]))[None]

    for left in range(0, width, STRIP_WIDTH):
        columns = slice(left, min(left + STRIP_WIDTH, width))
        for top, band in finished_bands(predict, read, (height, width), columns, windows):
            if band.shape[1] > 256:
                raise InputError(f"predict: {band.shape[1]} classes; a uint8 label map holds 256 at most")
            rows = slice(top, top + band.shape[2])
            largest, index = band[0].max(0)
            labels[rows, columns] = index.to("cpu", torch.uint8).numpy()
            if confidence is not None:
                confidence[rows, columns] = largest.cpu().numpy()
    return labels
