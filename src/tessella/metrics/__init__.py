"""Numbers from predictions and labels."""

from tessella.metrics.boundary import (
    BoundaryPrecisionRecall,
    BoundaryScores,
    boundary_strength,
    label_boundaries,
)
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
    "BoundaryPrecisionRecall",
    "BoundaryScores",
    "Calibration",
    "CalibrationError",
    "ConfusionMatrix",
    "PairedComparison",
    "SegmentationScores",
    "boundary_strength",
    "compare",
    "confusion_matrix",
    "confusion_per_image",
    "label_boundaries",
    "segmentation_scores",
]
