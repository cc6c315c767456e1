"""Numbers from predictions and labels, and from generated images."""

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
from tessella.metrics.distributions import (
    KernelDistance,
    ManifoldScores,
    frechet_distance,
    kernel_distance,
    precision_recall_density_coverage,
)
from tessella.metrics.diversity import (
    FeatureDeviation,
    best_of,
    best_of_any,
    distance_to_mean,
    feature_deviation,
    mean_of_top,
    pairwise_distance,
)
from tessella.metrics.flicker import Flicker, flicker
from tessella.metrics.normals import NormalScores, normal_errors, normal_scores
from tessella.metrics.phase_congruency import phase_congruency
from tessella.metrics.similarity import fsim, fsimc, rmse, ssim

__all__ = [
    "BoundaryPrecisionRecall",
    "BoundaryScores",
    "Calibration",
    "CalibrationError",
    "ConfusionMatrix",
    "FeatureDeviation",
    "Flicker",
    "KernelDistance",
    "ManifoldScores",
    "NormalScores",
    "PairedComparison",
    "SegmentationScores",
    "best_of",
    "best_of_any",
    "boundary_strength",
    "compare",
    "confusion_matrix",
    "confusion_per_image",
    "distance_to_mean",
    "feature_deviation",
    "flicker",
    "frechet_distance",
    "fsim",
    "fsimc",
    "kernel_distance",
    "label_boundaries",
    "mean_of_top",
    "normal_errors",
    "normal_scores",
    "pairwise_distance",
    "phase_congruency",
    "precision_recall_density_coverage",
    "rmse",
    "segmentation_scores",
    "ssim",
]
