"""Numbers of an image that tend to be larger where a model was trained on it.

All are made of the posteriors that the victim gives and the labels that the attacker knows. Pixels without a class do
not count: taken for a loss of 0 they would look as if the victim were perfectly sure of them.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

FLOOR = 1e-7
"""Posteriors are taken to lie between this and 1 less it, or a logarithm would rule alone."""

QUANTILES = (0.01, 0.05, 0.25)
"""Of the logits of an image's pixels: its hardest pixels tell more than the many easy ones."""

SIGNALS = (
    "loss",
    "confidence",
    "entropy",
    "modified entropy",
    "logit",
    *(f"logit, lowest {100 * q:g}%" for q in QUANTILES),
    "logit at boundaries",
    "correct",
)


def signals(
    posteriors: Float[Tensor, "batch classes height width"],
    labels: Int[Tensor, "batch height width"],
    ignore_index: int = 255,
) -> Float[Tensor, "batch signals"]:
    """``SIGNALS`` of each image, the larger the likelier a member; nan where no pixel has a class.

    "loss" and both entropies are negative ones. "logit" is the mean of log p_y - log(1 - p_y) over pixels (Carlini et
    al., S&P 2022); modified entropy is that of Song and Mittal (USENIX Security 2021). "correct" needs only labels.
    """
    counted = labels != ignore_index
    true = _of_class(posteriors, labels.where(counted, 0))
    logit = true.logit(FLOOR)
    rows = [
        true.clamp(min=FLOOR).log(),
        posteriors.amax(1),
        -_entropy(posteriors),
        -_modified_entropy(posteriors, labels.where(counted, 0)),
        logit,
    ]
    means = [_mean(row, counted) for row in rows]
    lowest = [_lowest(logit, counted, q) for q in QUANTILES]
    edges = _mean(logit, counted & boundaries(labels))
    right = _mean((posteriors.argmax(1) == labels).float(), counted)
    return torch.stack([*means, *lowest, edges, right], dim=1)


def class_signals(
    posteriors: Float[Tensor, "batch classes height width"],
    labels: Int[Tensor, "batch height width"],
    ignore_index: int = 255,
) -> Float[Tensor, "batch classes"]:
    """The mean logit over each class's pixels; nan for a class that an image does not show."""
    counted = labels != ignore_index
    logit = _of_class(posteriors, labels.where(counted, 0)).logit(FLOOR)
    shown = F.one_hot(labels.where(counted, 0), posteriors.shape[1]).movedim(-1, 1) * counted[:, None]
    return (shown * logit[:, None]).sum((2, 3)) / shown.sum((2, 3)).where(shown.any(3).any(2), torch.nan)


def boundaries(
    labels: Int[Tensor, "batch height width"], reach: int = 2
) -> Bool[Tensor, "batch height width"]:
    """Pixels with another label within ``reach`` pixels, up, down, left or right of them, or at an angle."""
    size = 2 * reach + 1
    values = F.pad(labels[:, None].float(), [reach] * 4, mode="replicate")
    largest, smallest = F.max_pool2d(values, size, 1), -F.max_pool2d(-values, size, 1)
    return (largest != smallest)[:, 0]


def _of_class(posteriors: Tensor, classes: Tensor) -> Tensor:
    return posteriors.gather(1, classes[:, None])[:, 0].float()


def _entropy(posteriors: Tensor) -> Tensor:
    return torch.special.entr(posteriors.float().clamp(min=0)).sum(1)


def _modified_entropy(posteriors: Tensor, classes: Tensor) -> Tensor:
    """-(1 - p_y) log p_y - sum over other classes of p log(1 - p): unlike entropy, large when sure of what is wrong."""
    p = posteriors.float().clamp(0, 1)
    others = -p * (1 - p).clamp(min=FLOOR).log()
    true = _of_class(p, classes)
    return others.sum(1) - _of_class(others, classes) - (1 - true) * true.clamp(min=FLOOR).log()


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    pixels = counted.sum((1, 2))
    return values.where(counted, 0).sum((1, 2)) / pixels.where(pixels > 0, torch.nan)


def _lowest(values: Tensor, counted: Tensor, share: float) -> Tensor:
    """The quantile of each image's counted pixels."""
    nothing = values.new_tensor(torch.nan)
    images = zip(values, counted, strict=True)
    return torch.stack(
        [image[inside].quantile(share) if inside.any() else nothing for image, inside in images]
    )
