"""Copy-paste (Ghiasi et al., CVPR 2021): segments of one picture laid over another, the rival of synthetic features."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tessella.datasets.sample import IGNORE_INDEX, Sample, SegmentationDataset
from tessella.datasets.transforms import Transform
from tessella.errors import InputError


@dataclass(frozen=True)
class CopyPaste:
    """Apply ``transform``, and with probability ``share`` lay half of the segments of another sample over the result.

    A segment is a connected region of one class: there are no instances in labels for semantic segmentation. The other
    sample goes through the same transform.

    dataset: where other samples come from.
    """

    transform: Transform
    dataset: SegmentationDataset
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"copy_paste {self.share}: a share of the images lies in 0 to 1")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        result = self.transform(sample, rng)
        if rng.random() >= self.share:
            return result
        other = self.transform(self.dataset[int(rng.integers(len(self.dataset)))], rng)
        if other.image.shape != result.image.shape:
            raise InputError(
                f"copy_paste: {other.id} has another size or kind than {sample.id}; train on a crop, or resize"
            )
        assert result.labels is not None
        assert other.labels is not None
        pasted = half_of_segments(other.labels, rng)
        return replace(
            result,
            image=np.where(pasted[..., None], other.image, result.image),
            labels=np.where(pasted, other.labels, result.labels),
        )


def half_of_segments(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[H, W] bool: connected regions of one class, each with probability one half; never of ignored pixels."""
    chosen = np.zeros(labels.shape, dtype=bool)
    for label in np.unique(labels):
        if label != IGNORE_INDEX:
            count, segments = cv2.connectedComponents((labels == label).astype(np.uint8))
            kept = np.less(rng.random(count), 0.5)
            kept[0] = False  # what is not of this class
            chosen |= kept[segments]
    return chosen
