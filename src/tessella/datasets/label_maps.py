"""Label maps without images: layouts for a generator of features."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from tessella.datasets.files import find_images, read_map
from tessella.datasets.sample import IGNORE_INDEX, LabelClass, Sample
from tessella.errors import InputError


class LabelMaps:
    """All PNGs of class ids below ``folder``; 255 does not count. The images are black.

    classes: that the ids stand for. channels, dtype: of the images.

    Raises InputError for a folder that is missing or empty, and, when it is read, for an id that is no class.
    """

    def __init__(
        self,
        folder: str | Path,
        classes: Sequence[LabelClass],
        *,
        channels: int = 3,
        dtype: DTypeLike = np.uint8,
    ) -> None:
        self.classes = tuple(classes)
        self.channels, self.dtype = channels, dtype
        self.files = find_images(Path(folder), ".png")
        self.ids = tuple(self.files)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        name = self.ids[index]
        labels = read_map(self.files[name])
        unknown = (labels >= len(self.classes)) & (labels != IGNORE_INDEX)
        if unknown.any():
            raise InputError(
                f"{self.files[name]}: holds id {int(labels[unknown][0])}; there are classes 0 to "
                f"{len(self.classes) - 1}, and {IGNORE_INDEX} for none"
            )
        return Sample(name, np.zeros((*labels.shape, self.channels), self.dtype), labels.astype(np.uint8))
