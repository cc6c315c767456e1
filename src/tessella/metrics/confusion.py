"""The confusion matrix and the four scores of semantic segmentation that follow from it.

With n_ij the number of pixels of class i predicted as class j and t_i = sum_j n_ij (Long, Shelhamer and
Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015, section 5):

    pixel accuracy              sum_i n_ii / sum_i t_i
    class accuracy              mean_i n_ii / t_i
    mean IoU                    mean_i n_ii / (t_i + sum_j n_ji - n_ii)
    frequency weighted IoU      sum_i t_i n_ii / (t_i + sum_j n_ji - n_ii) / sum_k t_k
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Int64, Integer, Shaped
from torch import Tensor

from tessella.errors import InputError
from tessella.files import json_number
from tessella.metrics.distributed import sum_over_processes
from tessella.metrics.labels import as_codes, check_same_pixels, outside_classes_error, predicted_labels


@dataclass(frozen=True, eq=False)
class SegmentationScores:
    """Scores as fractions of one; nan where undefined.

    A class that has no pixel in the ground truth has no accuracy; one that is absent from the prediction too
    has no IoU. Such classes are nan per class and left out of the means. A class that is only predicted has
    IoU 0, which counts.
    """

    pixel_accuracy: float
    class_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    accuracy_per_class: Float[Tensor, " classes"]
    iou_per_class: Float[Tensor, " classes"]

    def as_row(self) -> dict[str, float | None]:
        """The four numbers of the thesis' tables by name, for JSON: to six digits, None where undefined."""
        names = ("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou")
        return {name: json_number(getattr(self, name)) for name in names}


def segmentation_scores(confusion: Int[Tensor, "classes classes"]) -> SegmentationScores:
    """The scores of a confusion matrix, rows ground truth, columns prediction."""
    return scores_of_counts(confusion.diagonal(), confusion.sum(1), confusion.sum(0))


def scores_of_counts(
    correct: Int[Tensor, " classes"], truth: Int[Tensor, " classes"], predicted: Int[Tensor, " classes"]
) -> SegmentationScores:
    """The scores of the pixels of each class that are right, that are in the ground truth, and that are predicted."""
    correct, truth, predicted = (counts.to("cpu", torch.float64) for counts in (correct, truth, predicted))
    accuracy = correct / truth
    iou = correct / (truth + predicted - correct)
    return SegmentationScores(
        pixel_accuracy=(correct.sum() / truth.sum()).item(),
        class_accuracy=accuracy.nanmean().item(),
        mean_iou=iou.nanmean().item(),
        frequency_weighted_iou=((truth * iou).nansum() / truth.sum()).item(),
        accuracy_per_class=accuracy,
        iou_per_class=iou,
    )


def confusion_matrix(
    prediction: Shaped[Tensor, "..."],
    target: Integer[Tensor, "*batch height width"],
    num_classes: int,
    ignore_index: int = 255,
) -> Int64[Tensor, "classes classes"]:
    """Pixel counts, rows ground truth, columns prediction, on the device of `prediction`.

    prediction: labels [*batch, H, W] of any integer type, or scores (logits or posteriors) [*batch, K, H, W].
    target: labels of any integer type; pixels of `ignore_index` do not count, whatever is predicted there.

    Raises InputError where shapes do not fit, where the target holds a label that is no class and not
    ignored, and where a prediction that counts is no class or NaN.
    """
    check_same_pixels(prediction, target, num_classes)
    labels = predicted_labels(prediction) if prediction.is_floating_point() else prediction
    target = target.to(labels.device)

    # One histogram over a fused index counts everything, also what does not count or must not occur: a column
    # for predictions below the classes, one for those above, likewise two rows, and a last row for ignored
    # pixels. Nothing is copied by a mask, and the checks read the histogram alone.
    columns = num_classes + 2
    fused = as_codes(target, num_classes)
    fused.masked_fill_(target == ignore_index, num_classes + 1)
    fused.add_(1).mul_(columns).add_(as_codes(labels, num_classes)).add_(1)
    histogram = torch.bincount(fused.flatten(), minlength=columns * (columns + 1)).view(columns + 1, columns)

    classes = slice(1, num_classes + 1)
    counts = histogram[classes, classes]
    outside = torch.stack(
        [histogram[:-1].sum() - histogram[classes].sum(), histogram[classes].sum() - counts.sum()]
    )
    targets_outside, predictions_outside = outside.tolist()
    counted = target != ignore_index if targets_outside or predictions_outside else None
    if targets_outside:
        raise outside_classes_error("target", target[counted], num_classes)
    if predictions_outside and prediction.is_floating_point():
        raise InputError(
            f"prediction has NaN scores in {predictions_outside} pixels; look for divergence or bad input"
        )
    if predictions_outside:
        raise outside_classes_error("prediction", labels[counted], num_classes)
    return counts


def confusion_per_image(
    prediction: Shaped[Tensor, "batch ..."],
    target: Integer[Tensor, "batch height width"],
    num_classes: int,
    ignore_index: int = 255,
) -> Int64[Tensor, "batch classes classes"]:
    """`confusion_matrix` of each image of a batch: what a paired comparison of two runs needs."""
    matrices = [
        confusion_matrix(image_prediction, image_target, num_classes, ignore_index)
        for image_prediction, image_target in zip(prediction, target, strict=True)
    ]
    if not matrices:
        return torch.zeros(0, num_classes, num_classes, dtype=torch.int64, device=prediction.device)
    return torch.stack(matrices)


class ConfusionMatrix:
    """A confusion matrix that grows batch by batch; its counts are exact integers.

    `matrix` [K, K] int64 holds them in main memory, rows ground truth, columns prediction; whoever has counts
    already, such as the sum of `confusion_per_image`, adds them there.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes}; give the number of classes, at least 1")
        if 0 <= ignore_index < num_classes:
            raise InputError(
                f"ignore_index {ignore_index} is one of the {num_classes} classes; choose a label that is not"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        self.matrix: Int64[Tensor, "classes classes"] = torch.zeros(
            self.num_classes, self.num_classes, dtype=torch.int64
        )

    def update(
        self, prediction: Shaped[Tensor, "..."], target: Integer[Tensor, "*batch height width"]
    ) -> None:
        """Count a batch, given as to `confusion_matrix`. A batch that is refused changes nothing."""
        self.matrix += confusion_matrix(prediction, target, self.num_classes, self.ignore_index).cpu()

    def compute(self) -> SegmentationScores:
        return segmentation_scores(self.matrix)

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add the counts of `other`, which must be of the same number of classes and ignore the same label."""
        if other.num_classes != self.num_classes:
            raise InputError(
                f"cannot merge confusion matrices of {self.num_classes} and {other.num_classes} classes"
            )
        if other.ignore_index != self.ignore_index:
            raise InputError(
                f"cannot merge confusion matrices that ignore {self.ignore_index} and {other.ignore_index}"
            )
        self.matrix += other.matrix

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        total = ConfusionMatrix(self.num_classes, self.ignore_index)
        total.merge(self)
        total.merge(other)
        return total

    def all_reduce(self) -> "ConfusionMatrix":
        """The sum over all processes of a distributed run, each of which must call this; alone, a copy."""
        total = ConfusionMatrix(self.num_classes, self.ignore_index)
        total.matrix = sum_over_processes(self.matrix)
        return total

    def state_dict(self) -> dict[str, Any]:
        return {
            "num_classes": self.num_classes,
            "ignore_index": self.ignore_index,
            "matrix": self.matrix.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for field in ("num_classes", "ignore_index"):
            if state[field] != getattr(self, field):
                raise InputError(
                    f"state of a confusion matrix has {field} {state[field]}, "
                    f"this one has {getattr(self, field)}"
                )
        self.matrix = state["matrix"].clone()
