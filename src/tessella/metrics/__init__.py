"""Numbers from predictions and labels."""

from tessella.metrics.calibration import Calibration, CalibrationError
from tessella.metrics.comparison import PairedComparison, compare
from tessella.metrics.confusion import (
    ConfusionMatrix,
    SegmentationScores,
    confusion_matrix,
    confusion_per_image,
    segmentation_scores,
)

__all__ = [
    "Calibration",
    "CalibrationError",
    "ConfusionMatrix",
    "PairedComparison",
    "SegmentationScores",
    "compare",
    "confusion_matrix",
    "confusion_per_image",
    "segmentation_scores",
]
