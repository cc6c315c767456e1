"""Tiny pairs of normals and images, and generators and judges trained on them."""

from functools import partial

import cv2
import numpy as np
from tests.datasets.fabricate import write_pts
from tests.runs.blocks import MACHINE

from tessella.datasets import PairedFolders
from tessella.datasets.conditions import encode_normals
from tessella.image_generation import ImageBicycleGAN, Pix2Pix, Separate, Shared, Widths
from tessella.runs.image_training import train_images
from tessella.runs.images import ImageJudge, ImageRegression, ImageTranslation

TINY = Widths(trunk=(8, 8), path=4, last=8)
NORMALS = partial(PairedFolders, condition="normals")
LANDMARKS = partial(PairedFolders, condition="landmarks")
FEW = {"batch_size": 2, "validate_every": 3, "workers": 0, "validation_images": 2}


def write_spheres(root, number=8):
    """Spheres of 32 x 32 pixels in one of three colours each."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    for split, count in (("train", number), ("test", 3)):
        for kind in ("images", "conditions"):
            (root / split / kind).mkdir(parents=True)
        for index in range(count):
            x, y = (columns - random.uniform(12, 20)) / 10, (rows - random.uniform(12, 20)) / 10
            z2 = 1 - x**2 - y**2
            normals = np.stack([x, y, np.sqrt(z2.clip(0))], 2) * (z2 > 0)[:, :, None]
            color = np.eye(3)[random.integers(3)] * 200 + 40
            image = normals[:, :, 2:] * color
            name = f"{index:03d}.png"
            cv2.imwrite(str(root / split / "images" / name), image.astype(np.uint8)[..., ::-1])
            normals_picture = encode_normals(normals.astype(np.float32))
            cv2.imwrite(str(root / split / "conditions" / name), normals_picture[..., ::-1])
    return root


def regression(folder, **changes):
    values = {
        "generator": partial(Shared, branches=4, widths=TINY),
        "perceptual": str(folder / "judge"),
        "neighbours": 2,
        "candidates": 4,
        "quantile": 0.8,
        "warm_up": 1,
        "neighbours_from": 2,
        "steps": 6,
        "learning_rate": 1e-3,
        **FEW,
    }
    return ImageRegression(NORMALS, **{**values, **changes})


def learn(config, folder, name, **options):
    return train_images(config, "spheres", folder / "data", folder / name, machine=MACHINE, **options)


def train_on_spheres(folder):
    write_spheres(folder / "data")
    learn(ImageJudge(NORMALS, width=2, steps=3, **FEW), folder, "judge")
    learn(ImageJudge(NORMALS, kind="embedding", width=2, steps=3, **FEW), folder, "embedding")
    learn(regression(folder, learning_rate=3e-2), folder, "shared")
    learn(regression(folder, generator=partial(Separate, branches=3, widths=TINY)), folder, "separate")
    learn(ImageTranslation(NORMALS, gan=partial(ImageBicycleGAN, width=2), steps=3, **FEW), folder, "bicycle")
    learn(ImageTranslation(NORMALS, gan=partial(Pix2Pix, width=2), steps=3, **FEW), folder, "pix2pix")
    return folder


def write_marked(root):
    """Images of 32 x 32 with three landmarks."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for index in range(3):
            (root / split / "images").mkdir(parents=True, exist_ok=True)
            image = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(root / split / "images" / f"{index}.png"), image)
            write_pts(root / split / "conditions" / f"{index}.pts", random.uniform(2, 28, (3, 2)))
    return root
