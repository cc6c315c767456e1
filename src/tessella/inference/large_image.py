"""Label maps of images too large for their posteriors to fit in memory."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tessella.errors import InputError
from tessella.inference.sliding_window import Windows, finished_bands
from tessella.inference.whole_image import Predict

STRIP_WIDTH = 8192
"""Columns whose scores are held at once."""


def most_probable(scores: Tensor) -> np.ndarray:
    """Scores [K, H, W] to the class of the largest, [H, W] uint8. InputError where there are more than 256."""
    if len(scores) > 256:
        raise InputError(f"the model has {len(scores)} classes; a uint8 label map holds 256 at most")
    return scores.argmax(0).to("cpu", torch.uint8).numpy()


def most_probable_enlarged(scores: Tensor, size: tuple[int, int], rows_at_once: int = 64) -> np.ndarray:
    """The same of scores [K, h, w] that are resized to (height, width) bilinearly, so many rows at once."""
    height, width = size
    labels = np.empty(size, np.uint8)
    last = scores.shape[1] - 1
    for top in range(0, height, rows_at_once):
        rows = torch.arange(top, min(top + rows_at_once, height), device=scores.device)
        place = ((rows + 0.5) * scores.shape[1] / height - 0.5).clamp(0, last)
        above = place.long()
        band = torch.lerp(
            scores[:, above], scores[:, (above + 1).clamp(max=last)], (place - above)[:, None].to(scores)
        )
        band = functional.interpolate(band[None], (len(rows), width), mode="bilinear")
        labels[top : top + len(rows)] = most_probable(band[0])
    return labels


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
            rows = slice(top, top + band.shape[2])
            labels[rows, columns] = most_probable(band[0])
            if confidence is not None:
                confidence[rows, columns] = band[0].amax(0).cpu().numpy()
    return labels
