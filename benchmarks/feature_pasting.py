"""Features with segments of another image's pasted in: does the generator know what the new surroundings change?

    python benchmarks/feature_pasting.py RUN --data CAMVID

RUN is a generator's. Of 40 pairs of images, half of the segments of one are laid over the other. The truth is the
feature of the pasted image. Beside it: pasted features of both images, alone and with what the generator says that the
new layout changes, in full and by half; the generator's own feature of the new layout; and that of the image below.
Measured: squared distance to the truth, standardised as the generator does; the divergence of what the frozen decoder
reads from what it reads in the truth; its cross-entropy.
"""

from pathlib import Path

import numpy as np
import torch
from feature_spread import images_of, main  # beside this file
from torch import Tensor
from torch.nn import functional as F

from tessella.datasets.copy_paste import half_of_segments
from tessella.datasets.loading import planes
from tessella.runs.feature_gan import TrainedGenerator

PAIRS = 40
TRUTH = "the pasted image's own"


@torch.no_grad()
def measure(trained: TrainedGenerator, data: Path, split: str) -> dict[str, dict[str, float]]:
    dataset = images_of(trained, data, split)
    chance = np.random.default_rng(0)
    rows: dict[str, list[list[float]]] = {}
    for _ in range(PAIRS):
        below, above = (dataset[int(chance.integers(len(dataset)))] for _ in range(2))
        assert below.labels is not None
        assert above.labels is not None
        pasted = half_of_segments(above.labels, chance)
        labels = torch.from_numpy(
            np.stack([below.labels, above.labels, np.where(pasted, above.labels, below.labels)]).astype(
                np.int64
            )
        )
        images = np.stack([below.image, above.image, np.where(pasted[..., None], above.image, below.image)])
        ways = _ways(trained, images, labels, pasted)
        for name, feature in ways.items():
            rows.setdefault(name, []).append(_compare(trained, feature, ways[TRUTH], labels[2:]))
    names = ("squared distance", "divergence", "cross-entropy")
    return {
        name: dict(zip(names, np.mean(values, axis=0).round(4).tolist(), strict=True))
        for name, values in rows.items()
    }


def _ways(
    trained: TrainedGenerator, images: np.ndarray, labels: Tensor, pasted: np.ndarray
) -> dict[str, Tensor]:
    """Features [1, F, h, w] of the pasted layout by name.

    images, labels: of the image below, of that above, and pasted.
    """
    real = trained.halves.encode(torch.stack([planes(image) for image in images]))
    code = trained.draw(labels[:1])
    made = trained.make(labels, code.expand(len(labels), *code.shape[1:]))
    shares = torch.from_numpy(pasted)[None, None].float()
    shares = F.interpolate(shares, size=real.shape[-2:], mode="area")

    def laid_over(features: Tensor) -> Tensor:
        return shares * features[1:2] + (1 - shares) * features[:1]

    change = made[2:] - laid_over(made)
    return {
        "the image below": real[:1],
        "generated": made[2:],
        "pasted": laid_over(real),
        "pasted, half of the generator's change": laid_over(real) + change / 2,
        "pasted, the generator's change": laid_over(real) + change,
        TRUTH: real[2:],
    }


def _compare(trained: TrainedGenerator, feature: Tensor, truth: Tensor, labels: Tensor) -> list[float]:
    size = (labels.shape[1], labels.shape[2])
    standardise = trained.generator.standardise
    read, wanted = (trained.halves.decode(each, size).log_softmax(1) for each in (feature, truth))
    return [
        (standardise(feature) - standardise(truth)).square().mean().item(),
        F.kl_div(read, wanted, log_target=True, reduction="none").sum(1).mean().item(),
        F.nll_loss(read, labels, ignore_index=255).item(),
    ]


if __name__ == "__main__":
    main(__doc__, measure, "feature_pasting")
