"""Calibration: whether a confidence of 0.8 is right in 80% of the pixels.

Expected calibration error, over bins b of equal width of the highest posterior (Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", ICML 2017, equation 3):

    ECE = sum_b n_b / n |accuracy_b - confidence_b|
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics.distributed import sum_over_processes
from tessella.metrics.labels import check_same_pixels, outside_classes_error, predicted_labels

TOLERANCE = 0.02
"""How far posteriors may be from summing to 1."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The error and, per bin, what a reliability diagram shows.

    confidence, accuracy: means over the pixels of a bin, nan where there are none; count: its pixels.
    """

    ece: float
    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    count: Int64[Tensor, " bins"]


class CalibrationError:
    """Expected calibration error that grows batch by batch.

    Bin b of B holds the pixels whose highest posterior lies in (b/B, (b+1)/B].
    """

    def __init__(self, bins: int = 15, ignore_index: int = 255) -> None:
        if bins < 1:
            raise InputError(f"bins is {bins}; give at least 1")
        self.bins = bins
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        self.count: Int64[Tensor, " bins"] = torch.zeros(self.bins, dtype=torch.int64)
        self.correct: Int64[Tensor, " bins"] = torch.zeros(self.bins, dtype=torch.int64)
        self.confidence_sum: Float[Tensor, " bins"] = torch.zeros(self.bins, dtype=torch.float64)

    def update(
        self,
        posteriors: Float[Tensor, "*batch classes height width"],
        target: Integer[Tensor, "*batch height width"],
    ) -> None:
        """Count a batch; pixels of `ignore_index` do not count.

        Raises InputError where shapes do not fit, where posteriors are not probabilities, and where the
        target holds a label that is no class and not ignored.
        """
        num_classes = posteriors.shape[-3]
        if not posteriors.is_floating_point():
            raise InputError(f"posteriors have dtype {posteriors.dtype}; give softmax outputs")
        check_same_pixels(posteriors, target, num_classes)
        target = target.to(posteriors.device, torch.int64)
        counts = target != self.ignore_index
        target = target[counts]
        if ((target < 0) | (target >= num_classes)).any():
            raise outside_classes_error("target", target, num_classes)
        posteriors = posteriors.detach()
        confidence = posteriors.amax(-3)[counts].to(torch.float64)
        off_by = (posteriors.sum(-3, dtype=torch.float32)[counts] - 1).abs()
        # Written so that NaN fails; bfloat16 posteriors of many classes are off by up to a percent, and sums of merged
        # classes may be a little more than 1.
        if not ((off_by < TOLERANCE).all() and (confidence < 1 + TOLERANCE).all()):
            raise InputError("posteriors do not sum to 1 over the classes; apply softmax to the logits first")
        confidence = confidence.clamp(max=1)

        correct = predicted_labels(posteriors)[counts] == target
        bin_of = (torch.ceil(confidence * self.bins).to(torch.int64) - 1).clamp_(0, self.bins - 1)
        self.count += torch.bincount(bin_of, minlength=self.bins).cpu()
        self.correct += torch.bincount(bin_of[correct], minlength=self.bins).cpu()
        self.confidence_sum += torch.bincount(bin_of, weights=confidence, minlength=self.bins).cpu()

    def compute(self) -> Calibration:
        """The error, nan before the first pixel, and its bins."""
        confidence = self.confidence_sum / self.count
        accuracy = self.correct / self.count.to(torch.float64)
        share = self.count / self.count.sum()
        ece = (
            (share * (accuracy - confidence).abs()).nansum() if self.count.any() else torch.tensor(torch.nan)
        )
        return Calibration(ece.item(), confidence, accuracy, self.count.clone())

    def merge(self, other: "CalibrationError") -> None:
        """Add the counts of `other`, which must have as many bins and ignore the same label."""
        if other.bins != self.bins:
            raise InputError(f"cannot merge calibration errors of {self.bins} and {other.bins} bins")
        if other.ignore_index != self.ignore_index:
            raise InputError(
                f"cannot merge calibration errors that ignore {self.ignore_index} and {other.ignore_index}"
            )
        self.count += other.count
        self.correct += other.correct
        self.confidence_sum += other.confidence_sum

    def all_reduce(self) -> "CalibrationError":
        """The sum over all processes of a distributed run, each of which must call this; alone, a copy."""
        total = CalibrationError(self.bins, self.ignore_index)
        total.count = sum_over_processes(self.count)
        total.correct = sum_over_processes(self.correct)
        total.confidence_sum = sum_over_processes(self.confidence_sum)
        return total
