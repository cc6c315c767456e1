"""Pooling by regions against reading the features once, and the time of what prepares it.

    python benchmarks/pooling.py [--rounds 9]

11 views of 40 channels at 425x560 with 192 regions, fp32. Method: what is compared takes turns, so that a change of the
machine's load meets all of it; a first round is not counted; medians, in milliseconds, and their ratio to PyTorch's
sum over the same tensor. Taking turns with what reads 400 MB, all find memory cold; the pooling through upsampling,
which reads little, is also timed by itself.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from timing import taking_turns  # beside this file
from torch import Tensor

from tessella.files import write_json
from tessella.pooling.hha import hha
from tessella.pooling.layers import region_to_pixel, spatial_pool
from tessella.pooling.upsampled import pool_upsampled, region_matrix
from tessella.runs.environment import environment

VIEWS, CHANNELS, HEIGHT, WIDTH, STRIDE = 11, 40, 425, 560, 8
CELLS = (12, 16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "pooling.json")
    options = parser.parse_args()
    torch.manual_seed(0)
    regions = wavy_regions().repeat(VIEWS, 1, 1)
    num_regions = int(regions.max()) + 1
    features = torch.randn(VIEWS, CHANNELS, HEIGHT, WIDTH)
    last = features.to(memory_format=torch.channels_last)
    small = torch.randn(VIEWS, CHANNELS, -(-HEIGHT // STRIDE), -(-WIDTH // STRIDE))
    small = small.to(memory_format=torch.channels_last)
    matrix = region_matrix(regions, num_regions, (small.shape[2], small.shape[3]))
    values = torch.randn(CHANNELS, num_regions)
    forward: dict[str, Callable[[], object]] = {
        "sum": lambda: features.sum((2, 3)),
        "average": lambda: spatial_pool(features, regions, num_regions),
        "average, channels last": lambda: spatial_pool(last, regions, num_regions),
        "largest": lambda: spatial_pool(features, regions, num_regions, "max"),
        "average through upsampling": lambda: pool_upsampled(small, matrix),
        "region to pixel, one view": lambda: region_to_pixel(values, regions[0]),
    }
    through = "average through upsampling"
    with torch.no_grad():
        measured = {"forward": interleaved(forward, options.rounds)}
        # By itself: what it reads is in the processor's cache then, as that of a network's last layer is.
        measured["in cache"] = interleaved({through: forward[through]}, 20 * options.rounds)
    ratios = {
        name: round(ms / measured["forward"]["sum"], 4)
        for name, ms in measured["forward"].items()
        if name != "sum"
    }
    backward = {
        "fill a tensor of the same size": lambda: torch.empty_like(features).fill_(1),
        "average": backward_of(features, lambda x: spatial_pool(x, regions, num_regions)),
        "average, channels last": backward_of(last, lambda x: spatial_pool(x, regions, num_regions)),
        "average through upsampling": backward_of(small, lambda x: pool_upsampled(x, matrix)),
    }
    depth = 2 + np.random.default_rng(0).random((480, 640))
    camera = np.array([[582.0, 0, 320], [0, 582, 240], [0, 0, 1]])
    prepare = {
        "matrix of one view": lambda: region_matrix(
            regions[:1], num_regions, (small.shape[2], small.shape[3])
        ),
        "HHA of 640x480": lambda: hha(depth, camera),
    }
    measured |= {
        "ratio to sum": ratios,
        "backward": interleaved(backward, options.rounds),
        "preparation": interleaved(prepare, options.rounds),
        "regions": num_regions,
    }
    write_json(options.out, {"milliseconds": measured, "rounds": options.rounds, **environment()})
    print(json.dumps(measured, indent=1))


def wavy_regions() -> Tensor:
    """[1, H, W]: a grid of cells whose borders wave, as those of superpixels do."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    row = (y + 6 * np.sin(x / 9) + 3 * np.sin(x / 2.7)) / HEIGHT * CELLS[0]
    column = (x + 6 * np.sin(y / 7) + 3 * np.sin(y / 3.1)) / WIDTH * CELLS[1]
    cell = np.clip(row, 0, CELLS[0] - 1).astype(int) * CELLS[1] + np.clip(column, 0, CELLS[1] - 1).astype(int)
    return torch.from_numpy(cell)[None]


def backward_of(features: Tensor, pool: Callable[[Tensor], Tensor]) -> Callable[[], object]:
    inputs = features.detach().requires_grad_()
    output = pool(inputs)
    grad = torch.randn_like(output)
    return lambda: torch.autograd.grad(output, inputs, grad, retain_graph=True)


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    return {name: round(1000 * median(times), 3) for name, times in taking_turns(runs, rounds).items()}


if __name__ == "__main__":
    main()
