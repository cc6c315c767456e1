"""Learnable dilated convolution against the ordinary one, and against its rivals where they are installed.

    python benchmarks/dilation.py [--rounds 11] [--groups layers networks memory] [--device cpu|cuda]

Method: the candidates of a group take turns, so that a change of the machine's load meets all of them; a first round
is not counted; medians of seconds, and their ratio to ``nn.Conv2d`` with the nearest integer factor and the same
shapes. Factors lie anywhere in their range, as after training. Memory is the growth of a process of its own over one
training step. The rivals, torchvision's deformable convolution and DCLS, run where they can be imported (the
environment of ``make test-zoo``, and ``pip install dcls``).
"""

import argparse
import copy
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from timing import taking_turns  # beside this file
from torch import Tensor, nn

from tessella.dilation import LearnableDilatedConv2d, make_dilation_learnable
from tessella.files import write_json
from tessella.networks import DeepLabLargeFOV, PSPNet, ResNet
from tessella.runs.environment import environment

LAYERS = {"conv5": (512, 512, 2, (1, 4)), "fc6": (512, 1024, 12, (4, 20))}
SIZE = 64
NETWORKS = {
    "PSPNet-50": (lambda: PSPNet(19, backbone=partial(ResNet, depth=50)), {2: (1, 4), 4: (1, 8)}, (240, 320)),
    "DeepLab-LargeFOV": (lambda: DeepLabLargeFOV(19), {2: (1, 4), 12: (4, 20)}, (321, 321)),
}


class Deformable(nn.Module):
    """torchvision's deformable convolution with one offset for each tap and position, as it is meant to be used."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__()
        from torchvision.ops import DeformConv2d

        self.layer = DeformConv2d(
            plain.in_channels, plain.out_channels, 3, padding=plain.padding, dilation=plain.dilation
        )
        self.offsets = nn.Parameter(torch.rand(1, 18, SIZE, SIZE) - 0.5)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image, self.offsets.expand(image.shape[0], -1, -1, -1))


def dcls(plain: nn.Conv2d) -> nn.Module:
    """Dilated convolution with learnable spacings: nine points in a dense kernel as wide as the range."""
    from DCLS.construct.modules import Dcls2d

    step = plain.dilation[0]
    return Dcls2d(
        plain.in_channels, plain.out_channels, 9, dilated_kernel_size=2 * step + 1, padding=step, bias=True
    )


Run = Callable[[], None]


def as_it_is(run: Run) -> Run:
    return run


def layers(
    rounds: int,
    device: str,
    batch: int = 1,
    prepare: Callable[[Run], Run] = as_it_is,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> dict:
    results = {}
    for name, (channels, outputs, step, bounds) in LAYERS.items():
        plain = nn.Conv2d(channels, outputs, 3, padding=step, dilation=step)
        plain = plain.to(device, memory_format=memory_format)
        learnable = make_dilation_learnable(copy.deepcopy(plain), {step: bounds}, initial="uniform")
        candidates: dict[str, nn.Module] = {"ordinary": plain, "learnable": learnable}
        for rival, build in (("deformable", Deformable), ("DCLS", dcls)):
            try:
                candidates[rival] = build(plain).to(device)
            except ImportError:
                print(f"{rival}: not installed")
        image = torch.randn(batch, channels, SIZE, SIZE, device=device)
        image = image.contiguous(memory_format=memory_format).requires_grad_()
        few = min(rounds, 3)  # rounds of the slow ones
        for work, run in (("forward", forward), ("forward and backward", step_of)):
            runs = {which: prepare(partial(run, module, image)) for which, module in candidates.items()}
            fast = {which: runs.pop(which) for which in ("ordinary", "learnable")}
            times = interleaved(fast, rounds, device) | interleaved(runs, few, device)
            results[f"{name}, {work}"] = ratios(times)
    return results


def networks(
    rounds: int,
    device: str,
    batches: tuple[int, int] = (1, 2),
    prepare: Callable[[Run], Run] = as_it_is,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> dict:
    """``batches``: images of inference and of training."""
    results = {}
    for name, (build, ranges, size) in NETWORKS.items():
        plain = build().to(device, memory_format=memory_format)
        learnable = make_dilation_learnable(copy.deepcopy(plain), ranges, initial="uniform")
        image = torch.randn(1, 3, *size, device=device)
        for work, run in (("inference", forward), ("training", step_of)):
            for module in (plain, learnable):
                module.train(work == "training")
            images = image.repeat(batches[work == "training"], 1, 1, 1)
            images = images.contiguous(memory_format=memory_format)
            runs = {
                "ordinary": prepare(partial(run, plain, images)),
                "learnable": prepare(partial(run, learnable, images)),
            }
            results[f"{name}, {work}"] = ratios(interleaved(runs, rounds, device))
    return results


def memory(rounds: int, device: str) -> dict:
    """Growth of the resident memory by one training step, in MiB."""
    del rounds
    results = {}
    for subject in (*LAYERS, *NETWORKS):
        sizes = {}
        for which in ("ordinary", "learnable"):
            command = [sys.executable, __file__, "--measure-memory", subject, which, "--device", device]
            sizes[which] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        results[subject] = {**sizes, "ratio": round(sizes["learnable"] / sizes["ordinary"], 3)}
    return results


def measure_memory(subject: str, which: str, device: str) -> float:
    if subject in LAYERS:
        channels, outputs, step, bounds = LAYERS[subject]
        module: nn.Module = nn.Conv2d(channels, outputs, 3, padding=step, dilation=step)
        ranges, image = {step: bounds}, torch.randn(1, channels, SIZE, SIZE, requires_grad=True)
    else:
        build, ranges, size = NETWORKS[subject]
        module, image = build(), torch.randn(2, 3, *size)
    if which == "learnable":
        module = make_dilation_learnable(module, ranges, initial="uniform")
        # The compiler's own memory is no part of training.
        step_of(LearnableDilatedConv2d(2, 2, 3, padding=2), torch.randn(1, 2, 8, 8, requires_grad=True))
    module, image = module.to(device), image.detach().to(device).requires_grad_(image.requires_grad)
    step_of(nn.Conv2d(2, 2, 3).to(device), torch.randn(1, 2, 8, 8, device=device))
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        step_of(module, image)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    before = resident("VmHWM")
    step_of(module, image)
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """Resident memory of this process, or its peak, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forward(module: nn.Module, image: Tensor) -> None:
    with torch.inference_mode():
        module(image)


def step_of(module: nn.Module, image: Tensor) -> None:
    """Forward and backward, without an optimiser."""
    if hasattr(module, "forward_with_auxiliary"):
        logits, auxiliary = module.forward_with_auxiliary(image)  # type: ignore[operator]
        loss = logits.square().mean() + sum(a.square().mean() for a in auxiliary)
    else:
        loss = module(image).square().mean()
    loss.backward()
    module.zero_grad()
    image.grad = None


def interleaved(runs: dict[str, Run], rounds: int, device: str) -> dict[str, float]:
    def to_its_end(run: Run) -> None:
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    seconds = taking_turns({name: partial(to_its_end, run) for name, run in runs.items()}, rounds)
    return {name: median(times) for name, times in seconds.items()}


def ratios(times: dict[str, float]) -> dict[str, float]:
    result = {f"{name} seconds": round(seconds, 5) for name, seconds in times.items()}
    for name, seconds in times.items():
        if name != "ordinary":
            result[f"{name} ratio"] = round(seconds / times["ordinary"], 3)
    return result


GROUPS = {"layers": layers, "networks": networks, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "dilation.json")
    parser.add_argument("--measure-memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.measure_memory:
        print(measure_memory(*options.measure_memory, options.device))
        return
    measured = json.loads(options.out.read_text())["measured"] if options.out.exists() else {}
    for group in options.groups:
        measured[group] = GROUPS[group](options.rounds, options.device)
        write_json(options.out, {"measured": measured, "rounds": options.rounds, **environment()})
        print(json.dumps(measured[group], indent=1))


if __name__ == "__main__":
    main()
