"""What many images of one condition cost: branches, sampling, neighbours, matching.

``python benchmarks/image_generation.py`` writes ``results/image_generation.json`` in some minutes. Seconds are medians
of rounds in which all cases take turns; the authors' widths, 128x128, 68 landmarks, float32.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from tessella.files import write_json
from tessella.image_generation import Shared, match
from tessella.image_generation.neighbours import nearest
from tessella.runs.environment import environment

OUT = Path(__file__).parent / "results" / "image_generation.json"
BRANCHES = (1, 2, 5, 10, 20)
ROUNDS = 3


def medians(cases: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_ in range(rounds + 1):
        for name, run in cases.items():
            start = time.perf_counter()
            run()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return {name: round(median(values), 4) for name, values in seconds.items()}


def condition() -> torch.Tensor:
    return (torch.rand(1, 68, 128, 128) < 1 / 128**2).float().contiguous(memory_format=torch.channels_last)


def forwards() -> dict[str, float]:
    """Of one condition."""
    generator = Shared(68, branches=20).eval().to(memory_format=torch.channels_last)
    image, codes = condition(), generator.training_codes

    def run(number: int) -> Callable[[], object]:
        return lambda: generator(image, codes[:number], at_once=4)

    with torch.inference_mode():
        return medians({str(number): run(number) for number in BRANCHES})


def multiplications(number: int) -> float:
    """In billions, of convolutions, of a condition and so many branches."""
    total = 0

    def count(module: torch.nn.Conv2d, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    generator = Shared(68, branches=number)
    for module in generator.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        generator(condition(), generator.training_codes)
    # The convolution of both paths is called by its two parts, which no hook sees.
    area = 128 * 128
    weight = generator.head.joined.weight
    total += (
        area * weight[:, generator.head.path :].numel()
        + number * area * weight[:, : generator.head.path].numel()
    )
    return total / 1e9


def sampling_memory(codes: int) -> float:
    """Peak of a process in MB that draws so many images, one by one, and keeps none."""
    script = (
        "import torch, resource\n"
        "from tessella.image_generation import Shared\n"
        "g = Shared(68).eval(); c = torch.zeros(1, 68, 128, 128)\n"
        "with torch.inference_mode():\n"
        f"    for _ in g.stream(g.encode(c), 1, g.draw({codes}), 4): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    return round(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout), 0
    )


def main() -> None:
    torch.manual_seed(0)
    places = np.random.default_rng(0).random((10_000, 136), np.float32)
    nearest(places[:100], 10)  # compiles
    costs = torch.rand(8, 20, 7)
    measured = {
        "forward seconds by branches": (forward := forwards()),
        "20 branches over one": round(forward["20"] / forward["1"], 2),
        "billions of multiplications": {str(n): round(multiplications(n), 1) for n in (1, 20)},
        "neighbours of 10,000 landmark vectors, seconds": medians({"": lambda: nearest(places, 50)}, 2)[""],
        "matching 8 conditions, 20 branches, 7 targets, seconds": medians({"": lambda: match(costs)})[""],
        "peak MB of sampling": {str(n): sampling_memory(n) for n in (8, 400)},
    }
    print(json.dumps(measured, indent=1))
    write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})


if __name__ == "__main__":
    main()
