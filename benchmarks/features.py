"""What a generator of features costs: a training step, sampling, and training a network with its features.

    python benchmarks/features.py [--out FILE]

Images of 240x180 and 256 channels at an eighth of them, as of CamVid at half its size. Goals on two cores: a training
step of 60 ms a sample in bf16 with layouts of half the resolution and 110 ms at full resolution, sampling 20 ms, and a
mixed step of at most 1.1 times (a real step + 3/7 of (a step of the decoder + a pass of the generator)). What is
compared takes turns; medians. A training step has the features at hand, which ``encoding`` makes of an image: add the
two for a step of ``tessella train features``. It and sampling are measured in the precision of training and in fp32,
which is what ``tessella sample`` and SynFeat run in. Memory is the peak above what stood before the first call, in a
process of its own (Linux); results go to ``results/features.json``.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from timing import taking_turns  # beside this file
from torch import Tensor

from tessella.adversarial import BicycleGAN, CodeEncoder
from tessella.feature_synthesis import (
    FeatureDiscriminator,
    FeatureGenerator,
    one_hot_layout,
    split,
)
from tessella.files import write_json
from tessella.networks import PSPNet, ResNet
from tessella.runs.environment import environment
from tessella.training.machine import Machine, resolve_precision

HEIGHT, WIDTH, CHANNELS, CLASSES = 180, 240, 256, 11
BATCH = 8
ROUNDS = 15
Cases = dict[str, Callable[[], object]]


def medians(cases: Cases) -> dict[str, float]:
    """Seconds of each."""
    return {name: median(seconds) for name, seconds in taking_turns(cases, ROUNDS).items()}


def layouts(number: int, stride: int) -> Tensor:
    labels = torch.randint(0, CLASSES, (number, HEIGHT // 20, WIDTH // 20))
    labels = labels.repeat_interleave(20, 1).repeat_interleave(20, 2)
    return one_hot_layout(labels, CLASSES, stride).contiguous(memory_format=torch.channels_last)


def generator(stride: int) -> FeatureGenerator:
    return FeatureGenerator(CLASSES + 1, CHANNELS, blocks=3 if stride == 1 else 2)


def network() -> PSPNet:
    return PSPNet(
        CLASSES,
        backbone=partial(ResNet, depth=18, width=64),
        pyramid_channels=64,
        head_channels=128,
        auxiliary_channels=0,
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def training_and_sampling(dtype: torch.dtype) -> Cases:
    """A batch of each."""
    cases: Cases = {}
    halves = split(network().eval(), "backbone.layer3")
    images = torch.rand(BATCH, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def encode() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            halves.encode(images)

    cases["encoding"] = encode
    for stride, name in ((1, "full"), (2, "half")):
        discriminators = [
            FeatureDiscriminator(CLASSES + 1, CHANNELS, blocks=3 if stride == 1 else 2) for _ in range(2)
        ]
        gan = BicycleGAN(generator(stride), CodeEncoder(CHANNELS, 8), *discriminators)
        gan = gan.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(gan.parameters(), 2e-4, betas=(0.5, 0.999))
        size = (-(-HEIGHT // 8), -(-WIDTH // 8))
        features = torch.randn(BATCH, CHANNELS, *size).contiguous(memory_format=torch.channels_last)
        given = layouts(BATCH, stride)

        def step(gan: BicycleGAN, optimizer: torch.optim.Adam, given: Tensor, features: Tensor) -> None:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                losses = gan(given, features)
            losses.total.backward()
            optimizer.step()
            optimizer.zero_grad()

        @torch.no_grad()
        def sample(gan: BicycleGAN, given: Tensor) -> None:
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                gan.generator(given, torch.randn(BATCH, 8))

        cases[f"training, {name} resolution"] = partial(step, gan, optimizer, given, features)
        cases[f"sampling, {name} resolution"] = partial(sample, gan, given)
    return cases


def milliseconds(dtype: torch.dtype) -> dict[str, float]:
    """Of a sample."""
    found = medians(training_and_sampling(dtype))
    return {name: 1000 * seconds / BATCH for name, seconds in found.items()}


def mebibytes(dtype: torch.dtype) -> dict[str, float]:
    """Of a batch."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(peak, (name, dtype)) for name in training_and_sampling(dtype)}


def peak(name: str, dtype: torch.dtype) -> float:
    run = training_and_sampling(dtype)[name]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmHWM")
    run()
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return round(int(line.split()[1]) / 1024, 1)


def mixed(dtype: torch.dtype) -> dict[str, float]:
    """A mixed step of seven images and three features, in multiples of the sum of its parts."""
    whole = network()
    halves = split(whole, "backbone.layer3")
    optimizer = torch.optim.SGD(whole.parameters(), 1e-3, momentum=0.9)
    made = generator(1).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    images = torch.rand(7, 3, HEIGHT, WIDTH).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (7, HEIGHT, WIDTH))
    three, seven = layouts(3, 1), layouts(7, 1)
    loss = torch.nn.CrossEntropyLoss()

    def cast() -> torch.autocast:
        return torch.autocast("cpu", dtype, enabled=dtype != torch.float32)

    def update(total: Tensor) -> None:
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    def sample(given: Tensor) -> Tensor:
        with torch.no_grad(), cast():
            features: Tensor = made(given, torch.randn(len(given), 8))
        return features

    def real() -> None:
        with cast():
            logits = whole(images)
        update(loss(logits.float(), labels))

    def decoder(features: Tensor) -> None:
        with cast():
            logits = halves.decode(features, (HEIGHT, WIDTH))
        update(loss(logits.float(), labels[: len(features)]))

    def both() -> None:
        features = sample(three)
        with cast():
            total = loss(whole(images).float(), labels)
            total = total + 3 / 7 * loss(halves.decode(features, (HEIGHT, WIDTH)).float(), labels[:3])
        update(total)

    given = sample(seven)
    seconds = medians(
        {
            "mixed": both,
            "real": real,
            "decoder": lambda: decoder(given),
            "generator": lambda: sample(seven),
        }
    )
    parts = seconds["real"] + 3 / 7 * (seconds["decoder"] + seconds["generator"])
    return {
        **{f"{name}, ms": 1000 * value for name, value in seconds.items()},
        "mixed over the sum of its parts": seconds["mixed"] / parts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "features.json")
    options = parser.parse_args()
    trains_in = torch.bfloat16 if resolve_precision(Machine()) == "bf16" else torch.float32
    kinds = {str(kind).removeprefix("torch."): kind for kind in (trains_in, torch.float32)}
    result: dict[str, Any] = {
        "precision": str(trains_in).removeprefix("torch."),
        "milliseconds_a_sample": {name: milliseconds(kind) for name, kind in kinds.items()},
        "peak_mebibytes_of_a_batch": {name: mebibytes(kind) for name, kind in kinds.items()},
        "mixed_training": mixed(trains_in),
    }
    write_json(options.out, {**result, **environment()})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
