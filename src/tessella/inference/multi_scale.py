"""Scores averaged over resized and mirrored copies of an image."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from tessella.errors import InputError
from tessella.inference.whole_image import Predict

SIDE_MULTIPLE = 8
"""Sides of resized images are rounded to multiples of this, so that features of stride 8 fit them."""


@torch.no_grad()
def multi_scale(
    predict: Predict,
    image: Float[Tensor, "batch channels height width"],
    scales: Sequence[float] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
    flip: bool = True,
) -> Float[Tensor, "batch classes height width"]:
    """Mean of ``predict`` over all scales, and with ``flip`` over the mirrored image at each scale as well.

    Images and scores are resized bilinearly (``align_corners=False``); a scale of 1 leaves the image as it
    is. The default scales are those of PSPNet (Zhao et al. 2017, section 4.1).
    """
    check_scales(scales)
    size = (image.shape[2], image.shape[3])
    scores = []
    for scale in scales:
        scaled = _resize(image, scaled_size(size, scale))
        score = predict(scaled)
        if flip:
            score = (score + predict(scaled.flip(3)).flip(3)) / 2
        scores.append(_resize(score, size))
    return sum(scores[1:], scores[0]) / len(scores)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width at a scale: the nearest multiples of ``SIDE_MULTIPLE``; ``size`` itself at scale 1."""
    if scale == 1:
        return size
    height, width = (max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in size)
    return height, width


def check_scales(scales: Sequence[float]) -> None:
    """Raises InputError where there are no scales, or one is not positive and finite."""
    if not scales or not all(0 < scale < math.inf for scale in scales):
        raise InputError(f"scales: {list(scales)}; give at least one, each above 0")


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[2:]) == size:
        return image
    return functional.interpolate(image, size, mode="bilinear", align_corners=False)
