"""Overlapping windows over an image, their scores averaged where they overlap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from tessella.errors import InputError
from tessella.inference.whole_image import Predict
from tessella.precision import full_precision

WindowWeights = Literal["constant", "gaussian"]


@dataclass(frozen=True)
class Windows:
    """How windows lie over an image.

    height, width: of a window, in pixels; the network sees no other size.
    overlap: share of a window, in [0, 1), that its neighbour covers as well, at least.
    weights: ``constant``, or ``gaussian``: a window counts most in its middle, where the network sees most
        around each pixel (standard deviation of an eighth of the window's side, as in nnU-Net).
    batch: windows per forward pass.
    """

    height: int
    width: int
    overlap: float = 1 / 3
    weights: WindowWeights = "gaussian"
    batch: int = 1

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InputError(f"windows: {self.height}x{self.width} pixels; give at least 1x1")
        if not 0 <= self.overlap < 1:
            raise InputError(f"windows.overlap: {self.overlap}; give a share in [0, 1)")
        if self.weights not in get_args(WindowWeights):
            raise InputError(f"windows.weights: {self.weights!r}; give one of {get_args(WindowWeights)}")
        if self.batch < 1:
            raise InputError(f"windows.batch: {self.batch}; give at least 1")


def sliding_window(
    predict: Predict, image: Float[Tensor, "batch channels height width"], windows: Windows
) -> Float[Tensor, "batch classes height width"]:
    """Weighted mean of ``predict`` over all windows that cover a pixel, float32 at least.

    The last window of a row or column is moved inside the image. An image smaller than the window is padded
    below and on the right with zeros, the mean colour of a normalised image, and the scores are cropped back.
    """
    height, width = image.shape[2:]
    bands = finished_bands(
        predict, lambda rows, columns: image[:, :, rows, columns], (height, width), slice(0, width), windows
    )
    return torch.cat([band for _, band in bands], dim=2)


def finished_bands(
    predict: Predict,
    read: Callable[[slice, slice], Tensor],
    size: tuple[int, int],
    columns: slice,
    windows: Windows,
) -> Iterator[tuple[int, Tensor]]:
    """Averaged scores of an image's ``columns``, a band of rows at a time, from top to bottom.

    ``read(rows, columns)`` gives that part [B, C, h, w] of an image of ``size`` (height, width). Yields the
    first row and the scores [B, K, rows, columns] of each band; one window's height of scores is held.
    """
    height, width = size
    tops = window_starts(height, windows.height, windows.overlap)
    lefts = [
        left
        for left in window_starts(width, windows.width, windows.overlap)
        if left < columns.stop and left + windows.width > columns.start
    ]
    window_height, window_width = min(windows.height, height), min(windows.width, width)
    weights = window_weights(windows)[:window_height, :window_width]
    total = weight = torch.empty(0)
    for top, next_top in zip(tops, [*tops[1:], height], strict=True):
        rows = slice(top, top + window_height)
        for first in range(0, len(lefts), windows.batch):
            group = lefts[first : first + windows.batch]
            scores = _predict_windows(
                predict, [read(rows, slice(left, left + window_width)) for left in group], windows
            )
            if not total.numel():
                batch, classes = scores[0].shape[:2]
                zeros = scores[0].new_zeros(batch, classes, window_height, columns.stop - columns.start)
                total = full_precision(zeros)
                weight = total.new_zeros(total.shape[2:])
                weights = weights.to(total)
            for left, window_scores in zip(group, scores, strict=True):
                start, stop = max(left, columns.start), min(left + window_width, columns.stop)
                inside = slice(start - left, stop - left)
                band = slice(start - columns.start, stop - columns.start)
                total[..., band] += window_scores[..., inside] * weights[:, inside]
                weight[:, band] += weights[:, inside]
        finished = next_top - top
        yield top, total[:, :, :finished] / weight[:finished]
        total = functional.pad(total[:, :, finished:], (0, 0, 0, finished))
        weight = functional.pad(weight[finished:], (0, 0, 0, finished))


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """First pixels of the windows along one side: a fixed step; the last window ends where the image ends."""
    # The small addend keeps a product such as 9.999... from losing a pixel.
    step = max(1, int(window * (1 - overlap) + 1e-9))
    last = max(size - window, 0)
    return [*range(0, last, step), last]


def window_weights(windows: Windows) -> Float[Tensor, "height width"]:
    """Weight of each pixel of a window, float32: its largest value is at the centre, all are positive."""
    if windows.weights == "constant":
        return torch.ones(windows.height, windows.width)
    return torch.outer(_taper(windows.height), _taper(windows.width))


def _taper(size: int) -> Tensor:
    distance = torch.arange(size) - (size - 1) / 2
    return torch.exp(-0.5 * (distance / (size / 8)) ** 2)


@torch.no_grad()
def _predict_windows(predict: Predict, crops: list[Tensor], windows: Windows) -> list[Tensor]:
    """Scores [B, K, h, w] of each crop [B, C, h, w]; crops smaller than the window are padded on the way."""
    batch, _, height, width = crops[0].shape
    padded = functional.pad(torch.cat(crops), (0, windows.width - width, 0, windows.height - height))
    return list(predict(padded)[:, :, :height, :width].split(batch))
