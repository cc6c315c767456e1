"""tessella sample: features of label maps, from a trained generator."""

import argparse
from typing import Any

from rich.progress import track

from tessella.commands.model import choose_device
from tessella.errors import InputError
from tessella.metrics import SegmentationScores
from tessella.reports.features import write_samples
from tessella.runs.feature_gan import load_generator
from tessella.runs.sampling import find_layouts, sample_features


def run(options: argparse.Namespace) -> None:
    if options.codes < 1:
        raise InputError(f"--codes {options.codes}: give at least 1")
    trained = load_generator(options.checkpoint)
    layouts = find_layouts(options.conditions, trained)
    synthetic, real = sample_features(
        trained,
        track(layouts, "Sampling"),
        options.out,
        codes=options.codes,
        seed=options.seed,
        save=options.features,
        device=choose_device(options.device),
    )
    print(f"Sampled features under the frozen decoder: {_in_words(synthetic)}")
    if real is not None:
        print(f"Features of the images themselves:         {_in_words(real)}")
    print(f"Report: {write_samples(options.out)}")


def _in_words(scores: SegmentationScores) -> str:
    values: Any = (scores.mean_iou, scores.class_accuracy, scores.pixel_accuracy)
    return "mean IoU {:.1f}, class accuracy {:.1f}, pixel accuracy {:.1f}".format(*(100 * v for v in values))
