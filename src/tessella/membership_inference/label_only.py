"""Attacks on what gives class labels alone: is the answer as right and as steady as on images of the training?"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from tessella.membership_inference.black_box import Images
from tessella.metrics.labels import predicted_labels

LabelBox = Callable[[Images], Int[Tensor, "batch height width"]]
"""Pictures to class labels: any black box, by ``labels_of``."""

SHIFTS = ((0, 4), (0, -4), (4, 0), (-4, 0), (3, 3), (-3, -3))
"""Down and right, in pixels."""

BRIGHTNESS = (0.8, 1.25)


def labels_of(black_box: Callable[[Images], Float[Tensor, "batch classes height width"]]) -> LabelBox:
    """What a black box says if it says no more than the predicted classes."""
    return lambda images: predicted_labels(black_box(images)).long()


def steadiness(
    label_box: LabelBox,
    images: Images,
    labels: Int[Tensor, "batch height width"] | None = None,
    ignore_index: int = 255,
) -> Float[Tensor, " batch"]:
    """The share of pixels that are right in answers to changed images, over all changes; larger for members.

    As Choquette-Choo et al. (ICML 2021) do for classifiers: mirrored, shifted and brightened images are asked for, and
    what comes back is moved back. Without ``labels``, right is what the image itself is answered with. Nine queries
    or, without labels, ten. Pixels that a shift moves out of the picture do not count; nan where none does.
    """
    truth = label_box(images) if labels is None else labels
    counted = truth != ignore_index
    right, seen = torch.zeros(len(images)), torch.zeros(len(images))

    def compare(answer: Tensor, expected: Tensor, inside: Tensor) -> None:
        right.add_(((answer == expected) & inside).sum((1, 2)).cpu())
        seen.add_(inside.sum((1, 2)).cpu())

    compare(label_box(images.flip(3)).flip(2), truth, counted)
    for factor in BRIGHTNESS:
        changed = (images.float() * factor).round().clamp(0, 255).to(images.dtype)
        compare(label_box(changed), truth, counted)
    for down, right_ in SHIFTS:
        answer = label_box(_shifted(images, down, right_))
        compare(
            *(_common(maps, down, right_, side) for maps, side in ((answer, 1), (truth, -1), (counted, -1)))
        )
    return right / seen.where(seen > 0, torch.nan)


def _shifted(images: Tensor, down: int, right: int) -> Tensor:
    """What comes in at an edge is the edge mirrored, of an image too small for that the edge itself."""
    reach = max(abs(down), abs(right))
    height, width = images.shape[2:]
    mode = "reflect" if min(height, width) > reach else "replicate"
    wide = F.pad(images.float(), [reach] * 4, mode=mode).to(images.dtype)
    top, left = reach - down, reach - right
    return wide[:, :, top : top + height, left : left + width]


def _common(maps: Tensor, down: int, right: int, side: int) -> Tensor:
    """What a map and its shifted copy (side 1) have in common, of either (side -1: as it was)."""
    height, width = maps.shape[1:]
    down, right = down * side, right * side
    bottom, end = (max(size + min(by, 0), 0) for size, by in ((height, down), (width, right)))
    return maps[:, max(down, 0) : bottom, max(right, 0) : end]
