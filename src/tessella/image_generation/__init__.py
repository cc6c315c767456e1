"""Several images of one condition: stochastic regression with latent dropout codes (thesis, chapter 5)."""

from tessella.image_generation.codes import drop, interpolate
from tessella.image_generation.judges import ConditionEstimator, Embedding
from tessella.image_generation.matching import match
from tessella.image_generation.nearest_pixels import nearest_pixels
from tessella.image_generation.neighbours import Neighbours
from tessella.image_generation.objective import NeighboursLoss
from tessella.image_generation.perceptual import PerceptualDistance, VGGFeatures
from tessella.image_generation.refinement import Refinement, Widths
from tessella.image_generation.splits import LateSplit, Separate, Shared
from tessella.image_generation.translation import ImageBicycleGAN, Pix2Pix, Translator

__all__ = [
    "ConditionEstimator",
    "Embedding",
    "ImageBicycleGAN",
    "LateSplit",
    "Neighbours",
    "NeighboursLoss",
    "PerceptualDistance",
    "Pix2Pix",
    "Refinement",
    "Separate",
    "Shared",
    "Translator",
    "VGGFeatures",
    "Widths",
    "drop",
    "interpolate",
    "match",
    "nearest_pixels",
]
