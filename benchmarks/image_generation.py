"""What many images of one condition cost: branches, sampling, neighbours, matching.

``python benchmarks/image_generation.py`` writes ``results/image_generation.json`` in some minutes. Seconds are medians
of rounds in which all cases take turns; the authors' widths, 128x128, 68 landmarks, float32.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from timing import taking_turns  # beside this file
from torch.utils.flop_counter import FlopCounterMode

from tessella.files import write_json
from tessella.image_generation import Shared, match
from tessella.image_generation.neighbours import nearest
from tessella.runs.environment import environment

OUT = Path(__file__).parent / "results" / "image_generation.json"
BRANCHES = (1, 2, 5, 10, 20)
ROUNDS = 3


def medians(**cases: Callable[[], object]) -> dict[str, float]:
    return {name: round(median(seconds), 4) for name, seconds in taking_turns(cases, ROUNDS).items()}


def condition() -> torch.Tensor:
    return (torch.rand(1, 68, 128, 128) < 1 / 128**2).float().contiguous(memory_format=torch.channels_last)


def forwards() -> dict[str, float]:
    """Of one condition."""
    generator = Shared(68, branches=20).eval().to(memory_format=torch.channels_last)
    image, codes = condition(), generator.training_codes

    def run(number: int) -> Callable[[], object]:
        return lambda: generator(image, codes[:number], at_once=4)

    with torch.inference_mode():
        return medians(**{str(number): run(number) for number in BRANCHES})


def multiplications(number: int) -> float:
    """In billions, of convolutions, of a condition and so many branches."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        generator = Shared(68, branches=number)
        generator(torch.empty(1, 68, 128, 128), generator.training_codes)
    return counter.get_total_flops() / 2e9  # a multiplication and an addition


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
    found = medians(neighbours=lambda: nearest(places, 50), matching=lambda: match(costs))
    measured = {
        "forward seconds by branches": (forward := forwards()),
        "20 branches over one": round(forward["20"] / forward["1"], 2),
        "billions of multiplications": {str(n): round(multiplications(n), 1) for n in (1, 20)},
        "neighbours of 10,000 landmark vectors, seconds": found["neighbours"],
        "matching 8 conditions, 20 branches, 7 targets, seconds": found["matching"],
        "peak MB of sampling": {str(n): sampling_memory(n) for n in (8, 400)},
    }
    print(json.dumps(measured, indent=1))
    write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})


if __name__ == "__main__":
    main()
