"""Learnable dilated convolution against cuDNN's ordinary one on a GPU: fp32 and bf16, batches of 1 and 10.

``python benchmarks/gpu/dilation.py`` writes ``benchmarks/results/gpu_dilation.json`` in a few minutes. Method as in
``benchmarks/dilation.py``; bf16 is autocast. ``kernel_times`` are the GPU's own, without what Python takes to launch
them. ``repeatable`` says whether two backward passes gave the same bits.
"""

import copy
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))
import dilation as benchmark
from tessella.dilation import make_dilation_learnable
from tessella.runs.environment import environment, write_json

ROUNDS = 20


def kernel_times(batch: int) -> dict:
    """Milliseconds of the GPU for forward and backward of each layer, and their ratio."""
    results = {}
    for name, (channels, outputs, step, bounds) in benchmark.LAYERS.items():
        plain = torch.nn.Conv2d(channels, outputs, 3, padding=step, dilation=step).cuda()
        learnable = make_dilation_learnable(copy.deepcopy(plain), {step: bounds}, initial="uniform")
        image = torch.randn(
            batch, channels, benchmark.SIZE, benchmark.SIZE, device="cuda", requires_grad=True
        )
        for work, run in (
            ("forward", benchmark.forward),
            ("forward and backward", benchmark.step_of),
        ):
            times = {}
            for which, module in (("ordinary", plain), ("learnable", learnable)):
                for _ in range(3):
                    run(module, image)
                with profile(activities=[ProfilerActivity.CUDA]) as record:
                    for _ in range(ROUNDS):
                        run(module, image)
                    torch.cuda.synchronize()
                kernels = [event for event in record.events() if event.device_type == DeviceType.CUDA]
                times[which] = sum(event.device_time_total for event in kernels) / ROUNDS / 1000
            results[f"{name}, {work}"] = {
                **{f"{which} milliseconds": round(value, 4) for which, value in times.items()},
                "ratio": round(times["learnable"] / times["ordinary"], 3),
            }
    return results


def repeatable() -> bool:
    layer = benchmark.LearnableDilatedConv2d(512, 512, 3, padding=2, initial="uniform").cuda()
    image = torch.randn(4, 512, 64, 64, device="cuda", requires_grad=True)

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(layer(image).square().mean(), [image, *layer.parameters()]))

    return all(torch.equal(one, other) for one, other in zip(gradients(), gradients(), strict=True))


def main() -> None:
    measured: dict = {"repeatable": repeatable()}
    for precision in ("fp32", "bf16"):
        for batch in (1, 10):
            with torch.autocast("cuda", torch.bfloat16) if precision == "bf16" else nullcontext():
                measured[f"{precision}, batch {batch}"] = {
                    "kernels": kernel_times(batch),
                    "layers": benchmark.layers(ROUNDS, "cuda", batch),
                    "networks": benchmark.networks(ROUNDS, "cuda", max(batch, 2)),
                }
            write_json(
                Path(__file__).parents[1] / "results" / "gpu_dilation.json",
                {"measured": measured, **environment()},
            )
    measured["memory"] = benchmark.memory(1, "cuda")
    write_json(
        Path(__file__).parents[1] / "results" / "gpu_dilation.json", {"measured": measured, **environment()}
    )
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
