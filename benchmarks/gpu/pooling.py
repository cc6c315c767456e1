"""Pooling by regions on a GPU: the same as on the processor, the same bits every time, and how fast.

``python benchmarks/gpu/pooling.py`` writes ``benchmarks/results/gpu_pooling.json`` in a minute. Shapes and method as in
``benchmarks/pooling.py``; times are the GPU's, by events, medians of interleaved rounds in milliseconds.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
import pooling as benchmark
from tessella.files import write_json
from tessella.pooling import SpatioTemporalPooling, pool_upsampled, region_matrix, spatial_pool
from tessella.runs.environment import environment

ROUNDS = 20


def milliseconds(run: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def gradient(pool: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    inputs = features.detach().requires_grad_()
    return torch.autograd.grad(pool(inputs).square().sum(), inputs)[0]


def main() -> None:
    torch.manual_seed(0)
    regions = benchmark.wavy_regions().repeat(benchmark.VIEWS, 1, 1)
    number = int(regions.max()) + 1
    features = torch.randn(benchmark.VIEWS, benchmark.CHANNELS, benchmark.HEIGHT, benchmark.WIDTH)
    small = torch.randn(benchmark.VIEWS, benchmark.CHANNELS, 54, 70)
    on_gpu, ids, small_on_gpu = features.cuda(), regions.cuda(), small.cuda()
    matrix, matrix_on_gpu = (region_matrix(r, number, (54, 70)) for r in (regions, ids))
    pools: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor, Tensor]] = {
        "average": (
            lambda x: spatial_pool(x, ids, number),
            lambda x: spatial_pool(x, regions, number),
            on_gpu,
            features,
        ),
        "largest": (
            lambda x: spatial_pool(x, ids, number, "max"),
            lambda x: spatial_pool(x, regions, number, "max"),
            on_gpu,
            features,
        ),
        "average through upsampling": (
            lambda x: pool_upsampled(x, matrix_on_gpu),
            lambda x: pool_upsampled(x, matrix),
            small_on_gpu,
            small,
        ),
        "all three layers": (
            lambda x: SpatioTemporalPooling()(x, ids),
            lambda x: SpatioTemporalPooling()(x, regions),
            on_gpu,
            features,
        ),
    }
    results = {}
    for name, (pool, pool_here, x, x_here) in pools.items():
        once, again = (gradient(pool, x) for _ in range(2))
        results[name] = {
            "largest difference to the processor": float((pool(x).cpu() - pool_here(x_here)).abs().max()),
            "largest difference of gradients": float((once.cpu() - gradient(pool_here, x_here)).abs().max()),
            "same bits twice": torch.equal(pool(x), pool(x)) and torch.equal(once, again),
        }
    runs = {"sum": lambda: on_gpu.sum((2, 3))}
    runs |= {name: (lambda pool=pool, x=x: pool(x)) for name, (pool, _, x, _) in pools.items()}
    runs |= {
        f"{name}, with gradient": (lambda pool=pool, x=x: gradient(pool, x))
        for name, (pool, _, x, _) in pools.items()
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(ROUNDS + 3):
        for name, run in runs.items():
            taken = milliseconds(run)
            if round_ >= 3:
                times[name].append(taken)
    measured = {name: round(median(values), 4) for name, values in times.items()}
    out = Path(__file__).parents[1] / "results" / "gpu_pooling.json"
    write_json(out, {"checks": results, "milliseconds": measured, "rounds": ROUNDS, **environment()})
    print(json.dumps({"checks": results, "milliseconds": measured}, indent=1))


if __name__ == "__main__":
    main()
