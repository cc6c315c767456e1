"""Trains generators of images on two processes; started by test_ddp_images.py, as each process runs the script."""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from tessella.image_generation import (
    ImageBicycleGAN,
    NeighboursLoss,
    PerceptualDistance,
    Pix2Pix,
    Separate,
    VGGFeatures,
    Widths,
)
from tessella.image_generation.judges import small_vgg
from tessella.training.fit import fit
from tessella.training.images import ImageTask
from tessella.training.learners import PairBatch, Regression, Translation
from tessella.training.machine import Machine
from tessella.training.schedules import poly

STEPS = 3


def regression() -> Regression:
    generator = Separate(3, branches=4, widths=Widths(trunk=(4,), path=2, last=2))
    return Regression(generator, NeighboursLoss(PerceptualDistance(VGGFeatures(small_vgg(1)))))


MODELS = {
    "separate": regression,
    "pix2pix": lambda: Translation(Pix2Pix(3, width=2)),
    "bicycle": lambda: Translation(ImageBicycleGAN(3, width=2)),
}


def batch(seed: int) -> PairBatch:
    chance = torch.Generator().manual_seed(seed)
    return {
        "condition": torch.rand(1, 3, 32, 32, generator=chance),
        "targets": torch.randint(0, 256, (1, 1, 3, 32, 32), generator=chance, dtype=torch.uint8),
        "present": torch.ones(1, 1, dtype=torch.bool),
    }


def batches(first: int, number: int) -> DataLoader:
    return DataLoader([batch(seed) for seed in range(first, first + number)], batch_size=None)


def _configure(parameters: list[nn.Parameter]):
    optimizer = torch.optim.Adam(parameters, 1e-3)
    return optimizer, poly(optimizer, STEPS)


def main(out: Path, names: list[str]) -> None:
    for name in names:
        torch.manual_seed(0)
        outcome = fit(
            ImageTask(MODELS[name](), _configure, seed=0),
            lambda start, rank, world_size: batches(10 * rank + start, STEPS - start),
            lambda rank, world_size: batches(100 + rank, 1),
            out / name,
            steps=STEPS,
            validate_every=STEPS,
            machine=Machine(devices=2, accelerator="cpu", precision="fp32", progress=False),
            content={"recipe": "test"},
            score="val_score",
        )
        assert outcome.step == STEPS


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
