"""Numbers from predictions and labels."""

from tessella.metrics.confusion import (
    ConfusionMatrix,
    SegmentationScores,
    confusion_matrix,
    confusion_per_image,
    segmentation_scores,
)

__all__ = [
    "ConfusionMatrix",
    "SegmentationScores",
    "confusion_matrix",
    "confusion_per_image",
    "segmentation_scores",
]
