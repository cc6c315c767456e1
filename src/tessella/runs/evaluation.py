"""Measures a model on labelled images and leaves the files that reports read."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessella.datasets import LabelClass, Sample, SegmentationDataset
from tessella.datasets.loading import Batch, collate, evaluation_loader
from tessella.errors import InputError
from tessella.files import json_number, npz, png, write_bytes, write_json
from tessella.inference import most_probable
from tessella.metrics import (
    BoundaryPrecisionRecall,
    BoundaryScores,
    CalibrationError,
    SegmentationScores,
    boundary_strength,
    confusion_matrix,
    segmentation_scores,
)
from tessella.pictures import colorize, difference, to_rgb8

BlackBox = Callable[[Tensor], Tensor]
"""Pictures [B, C, H, W] as they come from a file to posteriors [B, K, H, W]."""

Predict = Callable[[Batch], Tensor]
"""A batch of samples to posteriors [B, K, H, W] of their images."""


def on_images(model: BlackBox, device: torch.device) -> Predict:
    """A black box that sees the image of each sample, on ``device``."""
    return lambda batch: model(batch["image"].to(device))


def merging(predict: Predict, index: np.ndarray) -> Predict:
    """The same with classes merged: ``index`` [K] names what each becomes; posteriors of what becomes one add up."""
    places = torch.from_numpy(index.astype(np.int64))

    def merged(batch: Batch) -> Tensor:
        posteriors = predict(batch)
        batch_size, _, height, width = posteriors.shape
        sums = posteriors.new_zeros(batch_size, int(places.max()) + 1, height, width)
        return sums.index_add(1, places.to(sums.device), posteriors)

    return merged


def evaluate(
    predict: Predict,
    dataset: SegmentationDataset,
    out: Path,
    *,
    description: dict[str, Any],
    workers: int = 1,
    pictures: int = 6,
    boundaries: bool = False,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> SegmentationScores:
    """Predict every image of ``dataset`` and compare with its labels.

    Writes ``result.json``, ``per_image.npz`` and pictures to ``out``. Images are taken one by one, at the size they
    have. description: what the result is of (dataset, split, network, checkpoint), stored with it. pictures: so
    many of the worst images, and as many at random, are drawn. boundaries: measure them too, which takes a while.

    Raises:
        InputError: an image without labels; a model with another number of classes.
    """
    num_classes = len(dataset.classes)
    confusions = torch.zeros(len(dataset), num_classes, num_classes, dtype=torch.int64)
    calibration = CalibrationError()
    curve = BoundaryPrecisionRecall()
    start = time.monotonic()
    for index, batch in enumerate(progress(evaluation_loader(dataset, workers=workers))):
        if "labels" not in batch:
            raise InputError(f"{batch['id'][0]} has no labels: evaluate on a labelled split, or use predict")
        posteriors = predict(batch)
        if posteriors.shape[1] != num_classes:
            raise InputError(f"the model has {posteriors.shape[1]} classes, the data set {num_classes}")
        labels = batch["labels"].to(posteriors.device)
        confusions[index] = confusion_matrix(posteriors.argmax(1), labels, num_classes)
        calibration.update(posteriors, labels)
        if boundaries:
            curve.update(boundary_strength(posteriors), labels)
    seconds = time.monotonic() - start

    scores = segmentation_scores(confusions.sum(0))
    reliability = calibration.compute()
    out.mkdir(parents=True, exist_ok=True)
    shown = chosen_images([segmentation_scores(confusion).mean_iou for confusion in confusions], pictures)
    for index in shown:
        draw_sample(predict, dataset[index], palette_of(dataset.classes), out / "pictures")
    kept = {"ids": np.array(dataset.ids), "confusion": confusions.numpy()}
    write_bytes(out / "per_image.npz", npz(kept.items()))
    write_json(
        out / "result.json",
        {
            **description,
            "seconds": round(seconds, 2),
            "num_images": len(dataset),
            "classes": [{"name": name, "color": list(color)} for name, color in dataset.classes],
            "metrics": {
                **scores.as_row(),
                "iou_per_class": [json_number(value) for value in scores.iou_per_class.tolist()],
                "ece": json_number(reliability.ece),
            },
            "confusion": confusions.sum(0).tolist(),
            "reliability": {
                "confidence": [json_number(value) for value in reliability.confidence.tolist()],
                "accuracy": [json_number(value) for value in reliability.accuracy.tolist()],
                "count": reliability.count.tolist(),
            },
            **({"boundaries": _boundaries(curve.compute())} if boundaries else {}),
        },
    )
    return scores


def chosen_images(mean_ious: list[float], number: int) -> list[int]:
    """The ``number`` worst images, then as many others at random (always the same ones)."""
    order = np.argsort(np.nan_to_num(mean_ious, nan=np.inf), kind="stable")
    worst, others = order[:number], order[number:]
    return [*worst.tolist(), *np.random.default_rng(0).permutation(others)[:number].tolist()]


def draw_sample(predict: Predict, sample: Sample, palette: np.ndarray, folder: Path) -> None:
    """Write image, truth, prediction and difference of one sample as ``<id>_<what>.png``."""
    assert sample.labels is not None
    prediction = most_probable(predict(collate([sample]))[0])
    drawings = {
        "image": to_rgb8(sample.image),
        "truth": colorize(sample.labels, palette),
        "prediction": colorize(prediction, palette),
        "difference": difference(prediction, sample.labels),
    }
    for what, picture in drawings.items():
        write_bytes(folder / f"{sample.id.replace('/', '__')}_{what}.png", png(picture))


def palette_of(classes: Iterable[LabelClass]) -> np.ndarray:
    """[K, 3] uint8 colours of the classes."""
    return np.array([color for _, color in classes], dtype=np.uint8)


def _boundaries(scores: BoundaryScores) -> dict[str, Any]:
    return {
        "average_precision": json_number(scores.average_precision),
        "best_f": json_number(scores.best_f),
        "precision": [json_number(value) for value in scores.precision.tolist()],
        "recall": [json_number(value) for value in scores.recall.tolist()],
    }
