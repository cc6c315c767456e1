"""Learnable dilated convolution against cuDNN's ordinary one on a GPU: fp32 and bf16, batches of 1 and 10.

``python benchmarks/gpu/dilation.py`` writes ``benchmarks/results/gpu_dilation.json`` in three minutes. Method as in
``benchmarks/dilation.py``; bf16 is autocast. ``graphs`` are replays of CUDA graphs: the GPU's own time, without what
Python takes to launch its kernels. ``repeatable`` says whether two backward passes gave the same bits.
"""

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import dilation as benchmark
from tessella.dilation import LearnableDilatedConv2d
from tessella.files import write_json
from tessella.runs.environment import environment

ROUNDS = 15
SETTINGS = [
    ("fp32", torch.contiguous_format),
    ("bf16", torch.contiguous_format),
    ("bf16", torch.channels_last),
]
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


HOWS = {"launched": benchmark.as_it_is, "graphs": captured}


def repeatable() -> bool:
    layer = LearnableDilatedConv2d(512, 512, 3, padding=2, initial="uniform").cuda()
    image = torch.randn(4, 512, 64, 64, device="cuda", requires_grad=True)

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(layer(image).square().mean(), [image, *layer.parameters()]))

    return all(torch.equal(one, other) for one, other in zip(gradients(), gradients(), strict=True))


def times(measured: dict, hows: list[str]) -> dict:
    """``measured`` with the times of ``hows`` in it, whatever else it holds kept."""
    measured = {**measured, "repeatable": repeatable()}
    for precision, layout in SETTINGS:
        for batch in (1, 10):
            name = f"{precision}{', channels last' if layout == torch.channels_last else ''}, batch {batch}"
            # A cache of cast weights would outlive a graph.
            cast = torch.autocast("cuda", torch.bfloat16, cache_enabled=False)
            found = measured[name] = measured.get(name, {})
            with cast if precision == "bf16" else nullcontext():
                for how in hows:
                    prepare = HOWS[how]
                    found[f"layers, {how}"] = benchmark.layers(ROUNDS, "cuda", batch, prepare, layout)
                    found[f"networks, {how}"] = benchmark.networks(
                        ROUNDS, "cuda", (batch, max(batch, 2)), prepare, layout
                    )
            print(name, json.dumps(found), flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=("times", "memory"), default=["times", "memory"])
    parser.add_argument(
        "--hows", nargs="+", choices=HOWS, default=list(HOWS), help="as launched, or as graphs"
    )
    options = parser.parse_args()
    torch.manual_seed(0)
    measured = json.loads(OUT.read_text())["measured"] if OUT.exists() else {}
    if "times" in options.groups:
        measured = times(measured, options.hows)
        write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})
    if "memory" in options.groups:
        measured["memory"] = benchmark.memory(1, "cuda")
        print(json.dumps(measured["memory"]))
        write_json(OUT, {"measured": measured, "rounds": ROUNDS, **environment()})


if __name__ == "__main__":
    main()
