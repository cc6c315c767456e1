"""Comparison of two runs on the same images, by paired bootstrap.

Images are drawn with replacement, the same for both runs, their confusion matrices are summed, and the mean
IoU of the sums is compared. The interval is the percentile interval of Efron and Tibshirani, "An
introduction to the bootstrap", 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from tessella.errors import InputError

_DRAWS_AT_A_TIME = 500


@dataclass(frozen=True)
class PairedComparison:
    """Mean IoU of two runs as fractions of one, and how sure their difference, b minus a, is.

    interval: the middle `confidence` of the bootstrap differences. reversed_share: the share of bootstrap
    differences that do not have the sign of the observed one, those of 0 counted half: 0.5 is a coin toss, and
    twice the share behaves like a two-sided p-value.
    """

    mean_iou_a: float
    mean_iou_b: float
    difference: float
    interval: tuple[float, float]
    reversed_share: float
    num_images: int
    confidence: float
    resamples: int


def compare(
    per_image_a: Integer[np.ndarray, "images classes classes"],
    per_image_b: Integer[np.ndarray, "images classes classes"],
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedComparison:
    """Compare two runs by the confusion matrices of the same images in the same order.

    Raises InputError where the runs cannot be of the same images: their shapes or pixels per class differ.
    """
    if per_image_a.shape != per_image_b.shape or per_image_a.ndim != 3 or len(per_image_a) == 0:
        raise InputError(
            f"per-image confusion matrices have shapes {per_image_a.shape} and {per_image_b.shape}; "
            "give [images, classes, classes] of the same images for both runs"
        )
    same_truth = (per_image_a.sum(axis=2) == per_image_b.sum(axis=2)).all(axis=1)
    if not same_truth.all():
        raise InputError(
            f"image {int(same_truth.argmin())} has other ground-truth pixel counts in the two runs; "
            "evaluate both on the same images in the same order"
        )
    areas_a, areas_b = _areas(per_image_a), _areas(per_image_b)
    mean_iou_a, mean_iou_b = (float(_mean_iou(areas.sum(axis=0))) for areas in (areas_a, areas_b))
    difference = mean_iou_b - mean_iou_a

    rng = np.random.default_rng(seed)
    num_images = len(per_image_a)
    uniform = np.full(num_images, 1 / num_images)
    drawn = []
    for start in range(0, resamples, _DRAWS_AT_A_TIME):
        size = min(_DRAWS_AT_A_TIME, resamples - start)
        times = rng.multinomial(num_images, uniform, size=size).astype(np.float64)
        resampled_a, resampled_b = (
            (times @ areas.reshape(num_images, -1)).reshape(size, *areas.shape[1:])
            for areas in (areas_a, areas_b)
        )
        drawn.append(_mean_iou(resampled_b) - _mean_iou(resampled_a))
    differences = np.concatenate(drawn)
    low, high = np.nanquantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return PairedComparison(
        mean_iou_a=mean_iou_a,
        mean_iou_b=mean_iou_b,
        difference=difference,
        interval=(float(low), float(high)),
        reversed_share=float(np.nanmean(0.5 - 0.5 * np.sign(differences) * np.sign(difference))),
        num_images=num_images,
        confidence=confidence,
        resamples=resamples,
    )


def _areas(confusion: Integer[np.ndarray, "images classes classes"]) -> Float[np.ndarray, "images 2 classes"]:
    """Intersection and union of every class: all that the mean IoU of a sum of matrices needs."""
    intersection = np.diagonal(confusion, axis1=1, axis2=2)
    union = confusion.sum(axis=1) + confusion.sum(axis=2) - intersection
    return np.stack([intersection, union], axis=1).astype(np.float64)


def _mean_iou(areas: Float[np.ndarray, "*draws 2 classes"]) -> Float[np.ndarray, " *draws"]:
    """Mean IoU of the classes with a union; nan where there is none."""
    intersection, union = areas[..., 0, :], areas[..., 1, :]
    occurs = union > 0
    iou = np.divide(intersection, union, out=np.zeros_like(union), where=occurs)
    num_occurring = occurs.sum(axis=-1)
    return np.where(num_occurring > 0, iou.sum(axis=-1) / np.maximum(num_occurring, 1), np.nan)
