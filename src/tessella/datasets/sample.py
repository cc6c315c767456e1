"""What every data set yields: one labelled (or unlabelled) picture, and what belongs to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

IGNORE_INDEX = 255
"""Label of pixels that neither train nor count."""


class LabelClass(NamedTuple):
    """A class of a label space; its index is its position in the data set's ``classes``."""

    name: str
    color: tuple[int, int, int]


def class_names(classes: Iterable[LabelClass]) -> list[str]:
    """What must agree for labels to mean the same."""
    return [label.name for label in classes]


@dataclass(frozen=True)
class Sample:
    """One picture with its labels.

    id: stable and unique within the data set, e.g. ``"train/0001TP_008550"``; usable as a file name stem.
    image: [H, W, C] uint8 or uint16; the first three channels are RGB where there are three or more.
    labels: [H, W] uint8, indices into the data set's classes or ``IGNORE_INDEX``; None where there are none.
    depth: [H, W] float32 in metres, 0 where missing; None where there is none.
    neighbours: neighbouring frames of the same video in temporal order, unlabelled; may be read only when asked for.
    regions: [H, W, L] int32, for each of L levels, which of the target's regions a pixel belongs to, -1 for none.
        The target is the sample itself, or the sample whose neighbour this is.
    """

    id: str
    image: np.ndarray
    labels: np.ndarray | None = None
    depth: np.ndarray | None = None
    neighbours: Sequence["Sample"] = ()
    regions: np.ndarray | None = None


class SegmentationDataset(Protocol):
    """What training and evaluation ask of a data set; ``ids[i]`` is ``self[i].id``, known without reading."""

    @property
    def classes(self) -> tuple[LabelClass, ...]: ...

    @property
    def ids(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
