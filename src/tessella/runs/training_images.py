"""What is counted in the training images before training."""

import numpy as np

from tessella.datasets import SegmentationDataset
from tessella.errors import InputError


def channel_statistics(dataset: SegmentationDataset, images: int = 64) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over evenly spaced images, on the scale 0 to 1."""
    chosen = np.linspace(0, len(dataset) - 1, min(images, len(dataset))).astype(int)
    sums, squares, pixels = 0.0, 0.0, 0
    for index in chosen:
        image = dataset[int(index)].image
        top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
        flat = image.reshape(-1, image.shape[2]).astype(np.float64) / top
        sums, squares, pixels = sums + flat.sum(0), squares + (flat**2).sum(0), pixels + len(flat)
    mean = np.asarray(sums / pixels)
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 1e-6))
    return mean.tolist(), std.tolist()


def balanced_weights(dataset: SegmentationDataset, images: int = 200) -> list[float]:
    """1 / sqrt(share of the pixels) of each class over evenly spaced images, with mean 1 over the labelled pixels.

    A class that none of them shows weighs as much as the rarest that is shown.

    InputError: an image without labels, or no pixel of any class.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(images, len(dataset))).astype(int)
    count = np.zeros(256)
    for index in chosen:
        labels = dataset[int(index)].labels
        if labels is None:
            raise InputError(f"{dataset.ids[index]} has no labels to train on")
        count += np.bincount(labels.ravel(), minlength=256)
    count = count[: len(dataset.classes)]
    if not count.any():
        raise InputError(f"class_weights: no pixel of {len(chosen)} images has a class")
    share = count / count.sum()
    weights = np.maximum(share, share[share > 0].min()) ** -0.5
    return (weights / (weights * share).sum()).tolist()
