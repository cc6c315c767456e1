"""A run folder as training and evaluation leave it, small and made up."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = [
    ("sky", (70, 130, 180)),
    ("road", (128, 64, 128)),
    ("car", (0, 0, 142)),
    ("pedestrian", (220, 20, 60)),
]
IDS = [f"test/{number:04d}" for number in range(12)]
PICTURED = IDS[:6]
HEIGHT, WIDTH = 24, 32


def write_log(run: Path, steps: int = 60) -> None:
    lines = ["step,epoch,train_loss,learning_rate,val_loss,val_mean_iou"]
    for step in range(1, steps + 1):
        validation = f"{1.2 - step / 100:.4f},{step / 150:.4f}" if step % 10 == 0 else ","
        lines.append(
            f"{step},{step // 10},{2 / step**0.5:.5f},{0.01 * (1 - step / 100) ** 0.9:.6f},{validation}"
        )
    (run / "log.csv").write_text("\n".join(lines) + "\n")


def write_evaluation(run: Path, split: str = "test", seed: int = 0) -> Path:
    """An evaluation whose last class never occurs, so that its IoU is null."""
    chance = np.random.default_rng(seed)
    folder = run / "evaluation" / split
    (folder / "pictures").mkdir(parents=True)
    count = len(CLASSES)
    confusion = chance.integers(1, 20, (len(IDS), count, count)) + 60 * np.eye(count, dtype=np.int64)
    confusion[:, -1, :] = 0
    confusion[:, :, -1] = 0
    total = confusion.sum(0)
    hits = np.diagonal(total)[:-1]
    iou = hits / (total.sum(0) + total.sum(1))[:-1].clip(1)
    result = {
        "dataset": "Toy streets", "split": split, "network": "PSPNet-18",
        "checkpoint": "checkpoints/best.ckpt",
        "seconds": 12.34, "num_images": len(IDS),
        "classes": [{"name": name, "color": color} for name, color in CLASSES],
        "metrics": {
            "pixel_accuracy": 0.8125, "class_accuracy": None, "mean_iou": 0.4567,
            "frequency_weighted_iou": 0.7031, "iou_per_class": [*iou.tolist(), None], "ece": 0.0213,
        },
        "confusion": total.tolist(),
        "reliability": {
            "confidence": [None, 0.3, 0.5, 0.7, 0.9], "accuracy": [None, 0.2, 0.45, 0.6, 0.88],
            "count": [0, 10, 40, 100, 500],
        },
        "boundaries": {
            "average_precision": 0.4, "best_f": 0.5,
            "precision": [0.2, 0.5, 0.8, None], "recall": [0.9, 0.6, 0.2, 0.0],
        },
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    np.savez_compressed(folder / "per_image.npz", ids=np.array(IDS), confusion=confusion)
    for image_id in PICTURED:
        for kind in ("image", "truth", "prediction", "difference"):
            pixels = chance.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            if kind != "image":
                pixels = np.array([color for _, color in CLASSES], np.uint8)[pixels[..., 0] % count]
            name = f"{image_id.replace('/', '__')}_{kind}.png"
            Image.fromarray(pixels).save(folder / "pictures" / name)
    return folder


def write_run(run: Path, seed: int = 0, rate: float = 0.01) -> None:
    """A complete run folder."""
    run.mkdir(parents=True)
    config = {
        "network": {"name": "pspnet", "backbone": "resnet18"},
        "optimizer": {"rate": rate},
        "crop": [96, 96],
    }
    environment = {
        "seed": seed, "commit": "0123abc", "date": "2025-01-02", "device": "cpu",
        "command": ["tessella", "train", "toy", "--rate", str(rate)],
    }  # fmt: skip
    (run / "config.json").write_text(json.dumps(config))
    (run / "environment.json").write_text(json.dumps(environment))
    write_log(run)
    write_evaluation(run, seed=seed)
