"""A data set of coloured blocks in folders by split, and a small PSPNet trained on it."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from tessella.datasets import SplitFolders
from tessella.networks import PSPNet, ResNet
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.machine import Machine

COLORS = np.array([(220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 220, 60)], dtype=np.uint8)
MACHINE = Machine(accelerator="cpu", precision="fp32", progress=False)


def write_blocks(root: Path, images: int = 6, size: tuple[int, int] = (48, 64)) -> Path:
    """Blocks of 16 x 16 pixels in four classes, each in its colour with noise; a row is ignored."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("red\ngreen\nblue\nyellow\n")
    for split in ("train", "val", "test"):
        for folder in ("images", "labels"):
            (root / split / folder).mkdir(parents=True)
        for number in range(images):
            blocks = rng.integers(0, 4, (size[0] // 16, size[1] // 16)).astype(np.uint8)
            labels = np.kron(blocks, np.ones((16, 16), dtype=np.uint8))
            noise = rng.normal(0, 20, (*size, 3))
            image = np.clip(COLORS[labels] + noise, 0, 255).astype(np.uint8)
            labels[0] = 255
            cv2.imwrite(str(root / split / "images" / f"{number}.png"), image[..., ::-1])
            cv2.imwrite(str(root / split / "labels" / f"{number}.png"), labels)
    return root


def blocks_config(**changes: object) -> Segmentation:
    values: dict = {
        "network": partial(
            PSPNet,
            backbone=partial(ResNet, depth=18, width=8),
            pyramid_channels=8,
            head_channels=16,
            auxiliary_channels=8,
            dropout=0.0,
        ),
        "dataset": SplitFolders,
        "crop": (48, 64),
        "scale": (0.9, 1.1),
        "jitter": 0.1,
        "steps": 60,
        "batch_size": 4,
        "optimizer": "adamw",
        "learning_rate": 1e-2,
        "head_factor": 1.0,
        "validate_every": 60,
        "workers": 0,
    }
    return Segmentation(**{**values, **changes})


def train_on_blocks(data: Path, run: Path, **changes: object) -> Path:
    train(blocks_config(**changes), "blocks", data, run, machine=MACHINE)
    return run
