"""Several data sets of the same classes as one."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tessella.datasets.sample import Sample, SegmentationDataset
from tessella.errors import InputError


class Joined:
    """One after the other: all splits of a data set, or sides of which two images may have the same id."""

    def __init__(self, parts: Sequence[SegmentationDataset]) -> None:
        self.parts = parts
        self.classes = parts[0].classes
        self.ids = tuple(id_ for part in parts for id_ in part.ids)
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self.parts[part][index - (int(self._ends[part - 1]) if part else 0)]


def joined_by_name(parts: Sequence[SegmentationDataset]) -> Joined:
    """Data sets of which one image is told from another by its id; InputError where two have the same."""
    joined = Joined(parts)
    for id_, times in Counter(joined.ids).most_common(1):
        if times > 1:
            raise InputError(f"{id_}: is {times} images of those that are joined; give each its own name")
    return joined
