"""What a generator leaves out: how features of one class spread around those that it makes."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

IGNORE_INDEX = 255


class Residuals:
    """Normal noise with the covariance, in each class, of real features around generated ones.

    A code of a few numbers for a whole layout cannot say what each place of it looks like, and an L1 loss lets a
    generator make the middle of all that is possible. So features of one layout hardly differ, and a decoder learns
    little from them; noise of this covariance gives them the spread of real ones, drawn for each place by itself.
    """

    def __init__(self, roots: Float[Tensor, "classes channels channels"]) -> None:
        self.roots = roots

    @classmethod
    def measure(cls, samples: Iterable[tuple[Tensor, Tensor, Tensor]], num_classes: int) -> "Residuals":
        """From (real features [B, C, h, w], generated ones, labels [B, H, W]); classes that never occur have none."""
        sums: Tensor | None = None
        counts = torch.zeros(num_classes)
        for real, made, labels in samples:
            residual = (real - made).float().permute(0, 2, 3, 1)
            small = at_features(labels, residual.shape[1:3])
            if sums is None:
                channels = residual.shape[-1]
                sums = torch.zeros(num_classes, channels, channels)
            for label in small.unique().tolist():
                if label != IGNORE_INDEX:
                    values = residual[small == label]
                    sums[label] += values.T @ values
                    counts[label] += len(values)
        assert sums is not None
        covariance = sums / counts.clamp(min=1)[:, None, None]
        values, vectors = torch.linalg.eigh(covariance)  # of few places it is singular: no Cholesky factor
        return cls(vectors * values.clamp(min=0).sqrt()[:, None])

    def sample(self, labels: Int[Tensor, "batch height width"], size: tuple[int, int]) -> Tensor:
        """[B, C, *size] for the labels; none where they are ignored."""
        small = at_features(labels, size)
        noise = torch.randn(*small.shape, self.roots.shape[-1])
        result = torch.zeros_like(noise)
        for label in small.unique().tolist():
            if label != IGNORE_INDEX:
                where = small == label
                result[where] = (noise[where] @ self.roots[label].T).to(result.dtype)  # half under autocast
        return result.permute(0, 3, 1, 2)


def at_features(labels: Int[Tensor, "batch height width"], size: torch.Size | tuple[int, int]) -> Tensor:
    """Labels of the nearest pixel, at the resolution of features."""
    small = F.interpolate(labels[:, None].float(), tuple(size), mode="nearest-exact")
    return small[:, 0].long().cpu()
