"""How features are distributed over classes and channels (thesis, table 6.3 and figure 6.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

BINS = 256
LEAST = 1000
"""Places of a class that a histogram is made of, at least."""
NORM = 100.0


@dataclass(frozen=True)
class Distribution:
    """Histograms of each class and channel, over the range of the channel.

    counts: [K, C, 256]. low, high: [C].
    """

    counts: Int64[np.ndarray, "classes channels bins"]
    low: Float[np.ndarray, " channels"]
    high: Float[np.ndarray, " channels"]

    @property
    def _known(self) -> np.ndarray:
        """[K]: classes with enough places."""
        return self.counts[:, 0].sum(1) >= LEAST

    def entropy(self) -> float:
        """In nats, the mean over classes and channels; classes of fewer than 1000 places are left out."""
        share = self.shares()[self._known]
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(share > 0, -share * np.log(share), 0.0)
        return float(terms.sum(2).mean()) if len(share) else float("nan")

    def overlap(self) -> float:
        """Intersection over union of the histograms of two classes, the mean over their pairs and channels."""
        share = self.shares()[self._known]
        pairs = [np.minimum(a, b).sum(1) / np.maximum(a, b).sum(1) for a, b in combinations(share, 2)]
        return float(np.mean(pairs)) if pairs else float("nan")

    def shares(self) -> Float[np.ndarray, "classes channels bins"]:
        """Of a class's places in each bin."""
        return self.counts / np.maximum(self.counts.sum(2, keepdims=True), 1)


def distribution(
    samples: Iterable[tuple[Tensor, Tensor]], num_classes: int, norm: float | None = NORM
) -> Distribution:
    """From pairs of features [C, h, w] and labels [H, W] of whole patches, the labels at any resolution.

    norm: L2 norm that every feature is scaled to, so that layers can be compared; None to leave them as they are.
    Labels are taken from the nearest pixel; what is none of the classes does not count.
    """
    features, labels = [], []
    for feature, label in samples:
        scaled = feature.float()
        if norm is not None:
            scaled = scaled * (norm / scaled.norm().clamp(min=1e-12))
        small = F.interpolate(label[None, None].float(), feature.shape[-2:], mode="nearest-exact")
        features.append(scaled.flatten(1))
        labels.append(small.flatten().long())
    values, index = torch.cat(features, 1), torch.cat(labels)
    low, high = values.min(1).values, values.max(1).values
    width = (high - low).clamp(min=1e-12)
    bins = ((values - low[:, None]) / width[:, None] * BINS).long().clamp(max=BINS - 1)
    counts = torch.stack([_histograms(bins[:, index == label]) for label in range(num_classes)])
    return Distribution(counts.numpy(), low.numpy(), high.numpy())


def _histograms(bins: Tensor) -> Tensor:
    """[C, N] to [C, 256]."""
    channels = bins.shape[0]
    offset = torch.arange(channels)[:, None] * BINS
    return torch.bincount((bins + offset).flatten(), minlength=channels * BINS).view(channels, BINS)
