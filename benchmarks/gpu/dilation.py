"""Learnable dilated convolution against cuDNN's ordinary one on a GPU: fp32 and bf16, batches of 1 and 10.

``python benchmarks/gpu/dilation.py`` writes ``benchmarks/results/gpu_dilation.json`` in three minutes. Method as in
``benchmarks/dilation.py``; bf16 is autocast. ``graphs`` are replays of CUDA graphs: the GPU's own time, without what
Python takes to launch its kernels. ``repeatable`` says whether two backward passes gave the same bits.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import dilation as benchmark
from tessella.dilation import LearnableDilatedConv2d
from tessella.runs.environment import environment, write_json

ROUNDS = 20
OUT = Path(__file__).parents[1] / "results" / "gpu_dilation.json"


def captured(run: benchmark.Run) -> benchmark.Run:
    """``run`` as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def repeatable() -> bool:
    layer = LearnableDilatedConv2d(512, 512, 3, padding=2, initial="uniform").cuda()
    image = torch.randn(4, 512, 64, 64, device="cuda", requires_grad=True)

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(layer(image).square().mean(), [image, *layer.parameters()]))

    return all(torch.equal(one, other) for one, other in zip(gradients(), gradients(), strict=True))


def main() -> None:
    torch.manual_seed(0)
    measured: dict = {"repeatable": repeatable()}
    settings = [
        ("fp32", torch.contiguous_format),
        ("bf16", torch.contiguous_format),
        ("bf16", torch.channels_last),
    ]
    for precision, layout in settings:
        for batch in (1, 10):
            name = f"{precision}{', channels last' if layout == torch.channels_last else ''}, batch {batch}"
            found = measured[name] = {}
            # A cache of cast weights would outlive a graph.
            cast = torch.autocast("cuda", torch.bfloat16, cache_enabled=False)
            with cast if precision == "bf16" else nullcontext():
                for how, prepare in (("launched", benchmark.as_it_is), ("graphs", captured)):
                    if layout == torch.contiguous_format:
                        found[f"layers, {how}"] = benchmark.layers(ROUNDS, "cuda", batch, prepare)
                    found[f"networks, {how}"] = benchmark.networks(
                        ROUNDS, "cuda", (batch, max(batch, 2)), prepare, layout
                    )
            write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})
    measured["memory"] = benchmark.memory(1, "cuda")
    write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})
    for name, found in measured.items():
        print(name, json.dumps(found))


if __name__ == "__main__":
    main()
