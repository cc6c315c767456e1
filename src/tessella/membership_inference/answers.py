"""All that an audit asks a victim about one image, as numbers small enough to keep for every image."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from tessella.files import json_number
from tessella.membership_inference.black_box import BlackBox, Images, Posteriors
from tessella.membership_inference.label_only import labels_of, steadiness
from tessella.membership_inference.signals import SIGNALS, class_signals, signals
from tessella.metrics.confusion import SegmentationScores, scores_of_counts
from tessella.metrics.labels import predicted_labels

STEADINESS = "steadiness of labels"
"""The name of the attack that asks nine times more."""


@dataclass(frozen=True)
class Answer:
    """What there is to know about an image.

    scores: by attack, larger for likelier members; None where the attack needs labels and there are none. of_classes:
    the mean logit over each class's pixels, None where an image does not show it. correct, truth, predicted: labelled
    pixels of each class, for the scores of a whole set.
    """

    scores: dict[str, float | None]
    of_classes: list[float | None]
    correct: list[int]
    truth: list[int]
    predicted: list[int]


def ask(
    black_box: BlackBox,
    image: Images,
    labels: Int[Tensor, "1 height width"] | None,
    label_only: bool,
    ignore_index: int = 255,
) -> tuple[Answer, Posteriors]:
    """One query for an image [1, C, H, W], and nine more for the steadiness of its labels if wanted.

    Without labels (None), labels are steady where they are what the image itself is answered with. The posteriors are
    returned as well.
    """
    posteriors = black_box(image)
    classes = posteriors.shape[1]
    said = predicted_labels(posteriors).long()
    known = None if labels is None else labels.to(posteriors.device)
    found = dict(zip(SIGNALS, signals(posteriors, known, ignore_index)[0].tolist(), strict=True))
    if label_only:
        truth = said if known is None else known
        found[STEADINESS] = float(steadiness(labels_of(black_box), image, truth, ignore_index)[0])
    labels = torch.full_like(said, ignore_index) if known is None else known
    counted = labels != ignore_index
    said = said.where(counted, classes)
    true = labels.where(counted, classes)
    right = torch.bincount(true[said == true], minlength=classes + 1)[:classes]
    of_truth, of_prediction = (
        torch.bincount(each.flatten(), minlength=classes + 1)[:classes] for each in (true, said)
    )
    of_classes = class_signals(posteriors, labels, ignore_index)[0].tolist()
    answer = Answer(
        {name: json_number(value) for name, value in found.items()},
        [json_number(value) for value in of_classes],
        right.tolist(),
        of_truth.tolist(),
        of_prediction.tolist(),
    )
    return answer, posteriors


def utility(answers: list[dict[str, Any]]) -> SegmentationScores:
    """How well a set of images is segmented, from what ``Answer`` keeps of each."""
    return scores_of_counts(
        *(
            torch.tensor([answer[name] for answer in answers]).sum(0)
            for name in ("correct", "truth", "predicted")
        )
    )
