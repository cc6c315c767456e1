"""Where training takes place, and in which precision."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from tessella.errors import InputError

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Machine:
    """Where a run takes place; changes its speed and, through the number of processes, the size of its batches."""

    devices: int = 1
    nodes: int = 1
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Precision = "auto"
    progress: bool = True

    def __post_init__(self) -> None:
        """Raises InputError for a machine that there is not."""
        for name in ("devices", "nodes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at least 1")
        if self.accelerator == "gpu" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            raise InputError("accelerator gpu: PyTorch finds none here; give cpu, or auto")


def resolve_precision(machine: Machine) -> Literal["fp32", "bf16"]:
    """What "auto" means there: bf16 on GPUs that have it, and on CPUs where it measurably pays.

    CPUs without matrix units for bf16 emulate it at a tenth of the speed of fp32; those that have them double it.
    """
    if machine.precision != "auto":
        return machine.precision
    if machine.accelerator != "cpu" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _bf16_pays() else "fp32"


@cache  # where bf16 is emulated, finding out takes a second
def _bf16_pays() -> bool:
    return _convolution_seconds(torch.bfloat16) < _convolution_seconds(torch.float32)


def _convolution_seconds(dtype: torch.dtype) -> float:
    layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(dtype)
    image = torch.zeros(1, 64, 48, 48, dtype=dtype)
    times = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            layer(image)
            times.append(time.perf_counter() - start)
    return min(times)
