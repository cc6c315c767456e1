"""How long the metrics take: `python benchmarks/metrics.py` writes `benchmarks/results/metrics.json`.

The contenders take turns on the same tensors, so that other load on the machine hits them alike; medians are
compared. torchmetrics, which Lightning installs, runs with its defaults, told only the classes and what to
ignore.
"""

import json
import os
import platform
import statistics
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from timing import taking_turns  # beside this file
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from tessella.metrics import (
    BoundaryPrecisionRecall,
    CalibrationError,
    ConfusionMatrix,
    boundary_strength,
    compare,
)

RESULT = Path(__file__).parent / "results" / "metrics.json"


def interleaved_medians(contenders: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds of each contender over `runs` rounds."""
    return {name: statistics.median(times) for name, times in taking_turns(contenders, runs).items()}


def smooth_scene(batch: int, num_classes: int, height: int, width: int, region: int) -> tuple[Tensor, Tensor]:
    """Logits of regions about `region` pixels wide, and a target that agrees in part; 5% is ignored."""
    generator = torch.Generator().manual_seed(0)
    coarse = 3 * torch.randn(batch, num_classes, height // region, width // region, generator=generator)
    logits = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    coarse_noise = torch.randn(coarse.shape, generator=generator)
    noise = nn.functional.interpolate(coarse_noise, size=(height, width), mode="bilinear")
    target = (logits + 2 * noise).argmax(1)
    target[:, : height // 20] = 255
    return logits, target


def confusion(runs: int = 9) -> dict[str, object]:
    """Updating with the logits, and with the labels, of 4 images of 512x1024 pixels and 19 classes."""
    num_classes = 19
    logits, target = smooth_scene(4, num_classes, 512, 1024, region=8)
    result: dict[str, object] = {"shape": list(logits.shape), "runs": runs}
    for kind, prediction in (("logits", logits), ("labels", logits.argmax(1))):
        ours = ConfusionMatrix(num_classes)
        rivals = {
            "MulticlassConfusionMatrix": MulticlassConfusionMatrix(num_classes, ignore_index=255),
            "MulticlassJaccardIndex": MulticlassJaccardIndex(num_classes, ignore_index=255),
        }
        contenders: dict[str, Callable[[], object]] = {
            "tessella": lambda m=ours, p=prediction: m.update(p, target),
            **{name: lambda m=rival, p=prediction: m.update(p, target) for name, rival in rivals.items()},
        }
        medians = interleaved_medians(contenders, runs)
        assert torch.equal(ours.matrix, rivals["MulticlassConfusionMatrix"].confmat)
        result[kind] = {
            "seconds": medians,
            "times_faster_than": {name: medians[name] / medians["tessella"] for name in rivals},
        }
    return result


def share_of_evaluation(
    network: nn.Module, image: Tensor, target: Tensor, num_classes: int, runs: int = 5
) -> float:
    """Seconds of updating the metric over seconds of the network on the same images [B, C, H, W]."""
    network.eval()
    metric = ConfusionMatrix(num_classes)
    with torch.inference_mode():
        logits = network(image)
        medians = interleaved_medians(
            {"network": lambda: network(image), "metric": lambda: metric.update(logits, target)}, runs
        )
    return medians["metric"] / medians["network"]


def others(runs: int = 3) -> dict[str, float]:
    """Seconds of calibration and boundaries, for one image of 425x560 pixels, and of a comparison."""
    logits, target = smooth_scene(1, 13, 425, 560, region=64)
    posteriors = logits.softmax(1)
    calibration, boundaries = CalibrationError(), BoundaryPrecisionRecall()
    rng = np.random.default_rng(0)
    truth = rng.multinomial(10_000, np.full(19, 1 / 19), size=500)
    per_image = [
        np.stack([rng.multinomial(count, np.full(19, 1 / 19)) for count in truth], axis=0) for _ in range(2)
    ]
    return interleaved_medians(
        {
            "calibration update": lambda: calibration.update(posteriors, target),
            "boundary update, 24 thresholds": lambda: boundaries.update(
                boundary_strength(posteriors), target
            ),
            "compare, 500 images, 19 classes, 10000 resamples": lambda: compare(*per_image),
        },
        runs,
    )


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchmetrics", "numpy", "scipy")},
    }


def main() -> None:
    result = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": machine(),
        "confusion": confusion(),
        "other_seconds": others(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    unfinished = RESULT.with_suffix(".tmp")
    unfinished.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(unfinished, RESULT)
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
