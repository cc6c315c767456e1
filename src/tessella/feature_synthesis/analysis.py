"""How features are distributed over classes and channels (thesis, table 6.3 and figure 6.5)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from tessella.errors import InputError

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

    samples: gone through twice, for the range of each channel and for the histograms, so that one at a time is held.
    norm: L2 norm that every feature is scaled to, so that layers can be compared; None to leave them as they are.
    Labels are taken from the nearest pixel; what is none of the classes does not count.

    Raises InputError where there is no sample, and for an iterator, which can be gone through once.
    """
    if isinstance(samples, Iterator):
        raise InputError(
            "samples are gone through twice: give a list, or an object whose __iter__ begins anew"
        )
    low = high = None
    for feature, _ in samples:
        values = _scaled(feature, norm)
        least, most = values.min(1).values, values.max(1).values
        low = least if low is None else torch.minimum(low, least)
        high = most if high is None else torch.maximum(high, most)
    if low is None or high is None:
        raise InputError("there is no sample whose features could be counted")
    width = (high - low).clamp(min=1e-12)
    counts = torch.zeros(num_classes, len(low), BINS, dtype=torch.int64)
    for feature, label in samples:
        bins = (_scaled(feature, norm) - low[:, None]) / width[:, None] * BINS
        bins = bins.long().clamp(max=BINS - 1).cpu()
        index = F.interpolate(
            label.cpu()[None, None].float(), feature.shape[-2:], mode="nearest-exact"
        ).flatten()
        for present in index.unique().long().tolist():
            if 0 <= present < num_classes:
                counts[present] += _histograms(bins[:, index == present])
    return Distribution(counts.numpy(), low.cpu().numpy(), high.cpu().numpy())


def _scaled(feature: Tensor, norm: float | None) -> Tensor:
    """[C, h, w] to [C, h * w]."""
    values = feature.float()
    return (values if norm is None else values * (norm / values.norm().clamp(min=1e-12))).flatten(1)


def _histograms(bins: Tensor) -> Tensor:
    """[C, N] to [C, 256]."""
    channels = bins.shape[0]
    offset = torch.arange(channels)[:, None] * BINS
    return torch.bincount((bins + offset).flatten(), minlength=channels * BINS).view(channels, BINS)
