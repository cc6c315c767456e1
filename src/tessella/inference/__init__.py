"""From a network and an image to posteriors."""

from tessella.inference.dense_crf import DenseCRF
from tessella.inference.large_image import label_map_of_large_image, most_probable, most_probable_enlarged
from tessella.inference.multi_scale import multi_scale
from tessella.inference.predictor import InferencePlan, Predictor
from tessella.inference.sliding_window import Windows, sliding_window
from tessella.inference.video import Frame, VideoReader, VideoWriter, predict_frames
from tessella.inference.whole_image import Predict, evaluation_mode, logits, posteriors

__all__ = [
    "DenseCRF",
    "Frame",
    "InferencePlan",
    "Predict",
    "Predictor",
    "VideoReader",
    "VideoWriter",
    "Windows",
    "evaluation_mode",
    "label_map_of_large_image",
    "logits",
    "most_probable",
    "most_probable_enlarged",
    "multi_scale",
    "posteriors",
    "predict_frames",
    "sliding_window",
]
