"""How long training waits for data: the demo's training on rendered streets, with augmentation.

Method: the demo's network takes real steps on batches of its own loader, one process loading beside it. Each step is
timed in two parts, waiting for the batch and working on it; the first ten steps are left out. Result: share of the time
spent waiting, and the time that one sample takes to load and augment. Run on a quiet machine:
``python benchmarks/loading.py``.
"""

import json
import tempfile
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from tessella.datasets.loading import training_loader
from tessella.files import write_json
from tessella.recipes.streets import streets
from tessella.runs.environment import environment
from tessella.runs.segmentation import build_network, open_split, training_transform
from tessella.scenes import render
from tessella.training.losses import SegmentationLoss

STEPS = 60


def main() -> None:
    config = streets()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "streets"
        render("street", data, sequences={"train": 64})
        dataset = open_split(config, data, "train")
        waiting, working = waiting_and_working(config, dataset)
        sample_ms = milliseconds_for_a_sample(config, dataset)
    result = {
        "share_waiting": round(sum(waiting) / (sum(waiting) + sum(working)), 4),
        "step_seconds": round(float(np.median(working)), 4),
        "sample_milliseconds": round(sample_ms, 2),
        "batch_size": config.batch_size,
        "workers": config.workers,
        "steps": len(working),
        **environment(),
    }
    write_json(Path(__file__).parent / "results" / "loading.json", result)
    print(json.dumps(result, indent=1))


def waiting_and_working(config, dataset) -> tuple[list[float], list[float]]:  # type: ignore[no-untyped-def]
    network = build_network(config, dataset).to(memory_format=torch.channels_last)
    loss = SegmentationLoss()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    loader = training_loader(
        dataset, training_transform(config), config.batch_size, seed=0, workers=config.workers
    )
    waiting, working = [], []
    batches = iter(loader)
    for _ in range(STEPS + 10):
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        logits, auxiliary = network.forward_with_auxiliary(batch["image"])
        optimizer.zero_grad()
        loss(logits, batch["labels"], auxiliary).backward()
        optimizer.step()
        waiting.append(loaded - start)
        working.append(time.perf_counter() - loaded)
    return waiting[10:], working[10:]


def milliseconds_for_a_sample(config, dataset) -> float:  # type: ignore[no-untyped-def]
    """Median over batches of one, in this process, on one thread."""
    cv2.setNumThreads(0)
    loader = iter(training_loader(dataset, training_transform(config), 1, seed=0))
    times = []
    for _ in islice(range(1000), 100):
        start = time.perf_counter()
        next(loader)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


if __name__ == "__main__":
    main()
