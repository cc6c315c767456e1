"""Numbers of an image that tend to be larger where a model was trained on it.

All are made of the posteriors that the victim gives and the labels that the attacker knows. Pixels without a class do
not count: taken for a loss of 0 they would look as if the victim were perfectly sure of them.
"""

from functools import partial, reduce

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from tessella.metrics.labels import predicted_labels

FLOOR = 1e-7
"""Posteriors are taken to lie between this and 1 less it, or a logarithm would rule alone."""

QUANTILES = (0.01, 0.05, 0.25)
"""Of the logits of an image's pixels: its hardest pixels tell more than the many easy ones."""

POINTS = 20
"""So many labelled pixels of an image: whoever has only these can attack too (thesis, section 7.5.2)."""

AT_POINTS = f"loss at {POINTS} points"

SIGNALS = (
    "loss",
    "confidence",
    "entropy",
    "modified entropy",
    "logit",
    *(f"logit, lowest {100 * q:g}%" for q in QUANTILES),
    "logit at boundaries",
    AT_POINTS,
    "correct",
)

OF_IMAGES_ALONE = ("confidence", "entropy")
"""Those that need no labels."""


def signals(
    posteriors: Float[Tensor, "batch classes height width"],
    labels: Int[Tensor, "batch height width"] | None,
    ignore_index: int = 255,
) -> Float[Tensor, "batch signals"]:
    """``SIGNALS`` of each image, the larger the likelier a member; nan where no pixel has a class.

    Without labels (None), ``OF_IMAGES_ALONE`` are of all pixels and the others nan.

    "loss" and both entropies are negative ones. "logit" is the mean of log p_y - log(1 - p_y) over pixels (Carlini et
    al., S&P 2022); modified entropy is that of Song and Mittal (USENIX Security 2021). "correct" needs only labels.
    """
    if labels is None:
        return _of_images_alone(posteriors)
    labels = labels.long()
    counted = labels != ignore_index
    true = _of_class(posteriors, labels.where(counted, 0))
    logit = true.logit(FLOOR)
    loss = true.clamp(min=FLOOR).log()
    entropy, modified = _entropies(posteriors, labels, true, loss)
    means = [_mean(row, counted) for row in (loss, posteriors.amax(1).float(), -entropy, -modified, logit)]
    edges = _mean(logit, counted & boundaries(labels))
    few = _mean(loss, points(counted))
    right = _mean((predicted_labels(posteriors) == labels).float(), counted)
    return torch.stack([*means, *_lowest(logit, counted), edges, few, right], dim=1)


def class_signals(
    posteriors: Float[Tensor, "batch classes height width"],
    labels: Int[Tensor, "batch height width"],
    ignore_index: int = 255,
) -> Float[Tensor, "batch classes"]:
    """The mean logit over each class's pixels; nan for a class that an image does not show."""
    labels = labels.long()
    counted = labels != ignore_index
    logit = _of_class(posteriors, labels.where(counted, 0)).logit(FLOOR)
    rows = []
    for image in range(len(labels)):
        shown = labels[image][counted[image]]
        pixels = torch.bincount(shown, minlength=posteriors.shape[1])
        total = torch.bincount(shown, logit[image][counted[image]].double(), posteriors.shape[1])
        rows.append(total / pixels.where(pixels > 0, torch.nan))
    return torch.stack(rows).float()


def boundaries(
    labels: Int[Tensor, "batch height width"], reach: int = 2
) -> Bool[Tensor, "batch height width"]:
    """Pixels with another label within ``reach`` pixels, up, down, left or right of them, or at an angle."""
    values = F.pad(labels[:, None].float(), [reach] * 4, mode="replicate")[:, 0]
    largest = smallest = values
    for axis, length in ((1, labels.shape[1]), (2, labels.shape[2])):
        windows = [
            partial(torch.narrow, dim=axis, start=start, length=length) for start in range(2 * reach + 1)
        ]
        largest = reduce(torch.maximum, [window(largest) for window in windows])
        smallest = reduce(torch.minimum, [window(smallest) for window in windows])
    return largest != smallest


def points(counted: Bool[Tensor, "batch height width"]) -> Bool[Tensor, "batch height width"]:
    """At most ``POINTS`` of each image's counted pixels by chance, the same whenever the same pixels are counted."""
    chosen = torch.zeros_like(counted)
    for image, inside in zip(chosen, counted, strict=True):
        places = inside.flatten().nonzero()[:, 0]
        # With replacement: a permutation of all pixels would take longer than the model.
        drawn = np.random.default_rng(0).integers(0, max(len(places), 1), POINTS)[: len(places)]
        image.view(-1)[places[torch.from_numpy(drawn)]] = True
    return chosen


def _of_images_alone(posteriors: Tensor) -> Tensor:
    entropy = sum(torch.special.entr(p.float().clamp(0, 1)) for p in posteriors.unbind(1))
    found = posteriors.new_full((len(posteriors), len(SIGNALS)), torch.nan, dtype=torch.float32)
    for name, values in zip(OF_IMAGES_ALONE, (posteriors.amax(1).float(), -entropy), strict=True):
        found[:, SIGNALS.index(name)] = values.mean((1, 2))
    return found


def _of_class(posteriors: Tensor, classes: Tensor) -> Tensor:
    return posteriors.gather(1, classes[:, None])[:, 0].float()


def _entropies(posteriors: Tensor, labels: Tensor, true: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
    """Entropy of each pixel, and its modified entropy.

    The latter, -(1 - p_y) log p_y - sum over other classes of p log(1 - p), is large where a model is sure of what is
    wrong. A class at a time: one map stays in the processor's cache.
    """
    entropy, others = torch.zeros_like(true), torch.zeros_like(true)
    for number in range(posteriors.shape[1]):
        p = posteriors[:, number].float().clamp(0, 1)
        entropy += torch.special.entr(p)
        others -= (p * (1 - p).clamp_(min=FLOOR).log_()).masked_fill_(labels == number, 0)
    return entropy, others - (1 - true) * loss


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    pixels = counted.sum((1, 2))
    return values.where(counted, 0).sum((1, 2)) / pixels.where(pixels > 0, torch.nan)


def _lowest(values: Tensor, counted: Tensor) -> list[Tensor]:
    """``QUANTILES`` of each image's counted pixels."""
    rows = [image[inside].cpu().numpy() for image, inside in zip(values, counted, strict=True)]
    # NumPy's, which partitions where PyTorch's sorts.
    found = np.array([np.quantile(row, QUANTILES) if len(row) else [np.nan] * len(QUANTILES) for row in rows])
    return list(values.new_tensor(found.T))
