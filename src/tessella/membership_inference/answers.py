"""All that an audit asks a victim about one image, as numbers small enough to keep for every image."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from tessella.membership_inference.black_box import BlackBox, Images, Posteriors
from tessella.membership_inference.label_only import labels_of, steadiness
from tessella.membership_inference.signals import SIGNALS, class_signals, signals
from tessella.metrics.labels import predicted_labels

STEADINESS = "steadiness of labels"
"""The name of the attack that asks nine times more."""


@dataclass(frozen=True)
class Answer:
    """What there is to know about an image.

    scores: by attack, larger for likelier members. of_classes: the mean logit over each class's pixels, None where an
    image does not show it. intersection, union: pixels of each class, for the IoU of a whole set.
    """

    scores: dict[str, float | None]
    of_classes: list[float | None]
    intersection: list[int]
    union: list[int]


def ask(
    black_box: BlackBox,
    image: Images,
    labels: Int[Tensor, "1 height width"],
    label_only: bool,
    ignore_index: int = 255,
) -> tuple[Answer, Posteriors]:
    """One query for an image [1, C, H, W], and nine more for the steadiness of its labels if wanted.

    The posteriors are returned as well.
    """
    posteriors = black_box(image)
    classes = posteriors.shape[1]
    labels = labels.to(posteriors.device)
    found = dict(zip(SIGNALS, signals(posteriors, labels, ignore_index)[0].tolist(), strict=True))
    if label_only:
        found[STEADINESS] = float(steadiness(labels_of(black_box), image, labels, ignore_index)[0])
    counted = labels != ignore_index
    said = predicted_labels(posteriors).to(labels).where(counted, classes)
    true = labels.where(counted, classes)
    right = torch.bincount(true[said == true], minlength=classes + 1)[:classes]
    either = (torch.bincount(each.flatten(), minlength=classes + 1)[:classes] for each in (said, true))
    union = sum(either) - right
    of_classes = class_signals(posteriors, labels, ignore_index)[0].tolist()
    answer = Answer(
        {name: _or_none(value) for name, value in found.items()},
        [_or_none(value) for value in of_classes],
        right.tolist(),
        union.tolist(),
    )
    return answer, posteriors


def mean_iou(answers: list[dict[str, Any]]) -> float:
    """Of a set of images, from what ``Answer`` keeps of each; over the classes that occur."""
    intersection = torch.tensor([answer["intersection"] for answer in answers]).sum(0)
    union = torch.tensor([answer["union"] for answer in answers]).sum(0)
    return float((intersection[union > 0] / union[union > 0]).mean())


def _or_none(value: float) -> float | None:
    """JSON has no nan."""
    return None if value != value else round(value, 6)
