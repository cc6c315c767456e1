"""tessella sample: images of conditions, or features of label maps, from a trained generator."""

import argparse
from typing import Any

from rich.progress import track

from tessella.commands.model import choose_device
from tessella.errors import InputError
from tessella.metrics import SegmentationScores
from tessella.reports.features import write_samples
from tessella.reports.images import write_image_samples
from tessella.runs.feature_gan import load_generator
from tessella.runs.image_sampling import find_conditions, sample_images
from tessella.runs.images import holds_images, load_images, load_judge
from tessella.runs.sampling import find_layouts, sample_features


def run(options: argparse.Namespace) -> None:
    if options.codes < 1:
        raise InputError(f"--codes {options.codes}: give at least 1")
    if options.limit < 0:
        raise InputError(f"--limit {options.limit}: give how many conditions of each split, or 0 for all")
    if not 0 <= options.seed < 2**63:
        raise InputError(f"--seed {options.seed}: give 0 to 2^63 - 1")
    if holds_images(options.checkpoint, _trusted(options)):
        _sample_images(options)
    else:
        _sample_features(options)


def _trusted(options: argparse.Namespace) -> tuple[str, ...]:
    return ("tessella", *options.trust)


def _sample_images(options: argparse.Namespace) -> None:
    if options.features:
        raise InputError("--features: is for generators of features; this one makes images")
    trained = load_images(options.checkpoint, _trusted(options))
    scores = sample_images(
        trained,
        track(find_conditions(options.conditions, trained, options.limit), "Sampling"),
        options.out,
        codes=options.codes,
        seed=options.seed,
        judges=[load_judge(judge, _trusted(options)) for judge in options.judges],
        interpolated=options.interpolate,
        device=choose_device(options.device),
    )
    if scores["conditions"]:
        print(f"{scores['conditions']} conditions with their own image, {options.codes} samples of each:")
    else:
        print("No condition has its own image: nothing is scored, neither by judges.")
    for name, found in scores["errors"].items():
        of_real = scores["means"].get(f"{name} of the real image")
        print(
            f"  {name:10} mean {found['mean']:.3f}, best of {options.codes} {found['best of first'][-1]:.3f}"
            + ("" if of_real is None else f"; in real images {of_real:.3f}")
        )
    if normals := scores.get("normals of the best"):
        print(
            "  normals of the best: mean {mean:.1f}, median {median:.1f}, RMSE {rmse:.1f} degrees; {within_11_25:.1%} "
            "within 11.25, {within_22_5:.1%} within 22.5, {within_30:.1%} within 30".format(**normals)
        )
    if "diversity" in scores:
        print(f"  diversity  {scores['diversity']:.3f}")
    if "distribution" in scores:
        print(f"  FID        {scores['distribution']['fid']:.3f}")
    print(f"Images: {options.out / 'images'}; report: {write_image_samples(options.out)}")


def _sample_features(options: argparse.Namespace) -> None:
    if options.judges or options.interpolate or options.limit:
        raise InputError(
            "--judges, --interpolate and --limit are for generators of images; this one makes features"
        )
    trained = load_generator(options.checkpoint, _trusted(options))
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
