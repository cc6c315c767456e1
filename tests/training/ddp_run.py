"""Trains a small network on one or two processes; started by test_fit.py, since each process runs the whole script."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tessella.datasets import LabelClass, Sample
from tessella.datasets.loading import evaluation_loader, training_loader
from tessella.datasets.transforms import RandomAffineCrop
from tessella.training.fit import fit
from tessella.training.losses import SegmentationLoss
from tessella.training.machine import Machine
from tessella.training.schedules import parameter_groups, poly, sgd
from tessella.training.segmentation import SegmentationTask


class Noise:
    classes = (LabelClass("dark", (0, 0, 0)), LabelClass("bright", (255, 255, 255)))
    ids = tuple(f"noise{i}" for i in range(11))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        image = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        return Sample(self.ids[index], image, (image.mean(2) > 127).astype(np.uint8))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image.float() / 255)


def _configure(network: nn.Module):
    optimizer = sgd(parameter_groups(network, 0.1, 1.0, 0.0))
    return optimizer, poly(optimizer, 6)


def main(devices: int, run: Path) -> None:
    torch.manual_seed(0)
    data = Noise()
    fit(
        SegmentationTask(Net(), SegmentationLoss(), partial(_configure), 2, seed=0),
        lambda start, rank, world_size: training_loader(
            data,
            RandomAffineCrop((12, 12), (1.0, 1.0)),
            8 // world_size,
            seed=1,
            start=start,
            rank=rank,
            world_size=world_size,
        ),
        partial(evaluation_loader, data),
        run,
        steps=6,
        validate_every=3,
        machine=Machine(devices=devices, accelerator="cpu", precision="fp32", progress=False),
        content={"recipe": "test"},
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
