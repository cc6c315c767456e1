"""Images without labels in an audit: what they may be compared with, and which attacks are left."""

from tessella.datasets import SegmentationDataset
from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS
from tessella.membership_inference.signals import OF_IMAGES_ALONE
from tessella.runs.asking import Row, is_labelled

WITHOUT_LABELS = {
    *OF_IMAGES_ALONE,
    STEADINESS,
    "learned, posteriors alone",
    "learned, posteriors alone, aligned",
    "learned, posteriors alone, one patch",
    "learned, posteriors alone, aligned, one patch",
}
"""Attacks that need none."""

LOOKED_AT = 10
"""Images of a side without labels that are read before it is said to have none."""


def has_labels(dataset: SegmentationDataset) -> bool:
    """By its first images."""
    return any(dataset[place].labels is not None for place in range(min(len(dataset), LOOKED_AT)))


def require_alike(sides: dict[str, SegmentationDataset]) -> None:
    """InputError where one of two sides that are compared has labels and the other has none."""
    labelled = {name: has_labels(dataset) for name, dataset in sides.items()}
    if len(set(labelled.values())) > 1:
        without = next(name for name in labelled if not labelled[name])
        raise InputError(
            f"{without}: have no labels, unlike those that they are compared with; give labels of both, or of neither "
            "(--unlabelled)"
        )


def comparable(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Rows of two sides. Where some images have labels, those without lose their scores.

    These are of all pixels, the others' of labelled ones, which a model may be surer of.
    """
    if not any(is_labelled(row) for side in rows.values() for row in side):
        return rows
    return {
        name: [row if is_labelled(row) else {**row, "scores": dict.fromkeys(row["scores"])} for row in side]
        for name, side in rows.items()
    }
