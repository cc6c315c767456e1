"""Do factors and weights help or hinder each other when both are learned? (Thesis, section 4.4.2.)

    python benchmarks/dilation_optimisation.py --data CAMVID
    python benchmarks/dilation_optimisation.py            # the figure of what is there

Networks of recipe camvid_dilation are trained with fixed factors for some steps. Then, on batches of training crops,
plain gradient steps are taken on the factors alone, on the weights alone, and on both, each as long as should lower the
loss by a given share of itself if the loss were linear; what it is lowered by is written down. Last, trainings
go on from there with factors alone, weights alone and both, on the same batches in the same order.
Results: ``results/dilation_optimisation.json`` and ``docs/images/dilation_optimisation.png``.
"""

import argparse
import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tessella.datasets.loading import training_loader
from tessella.dilation import dilation_parameters
from tessella.files import write_json
from tessella.recipes.dilation import camvid_dilation
from tessella.runs.configuration import override
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.runs.segmentation import Segmentation, open_split, training_transform
from tessella.runs.training import train
from tessella.training.machine import Machine

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Of the loss, that a step should take away."""

MOVES = {"factors": (True, False), "weights": (False, True), "both": (True, True)}
RESULTS = Path(__file__).parent / "results" / "dilation_optimisation.json"
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "dilation_optimisation.png"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 200, 700], help="of training before")
    parser.add_argument("--further", type=int, default=150, help="steps of the trainings that go on")
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/dilation_optimisation"))
    options = parser.parse_args()
    measured = json.loads(RESULTS.read_text())["measured"] if RESULTS.exists() else {}
    if options.data:
        for steps in options.steps:
            for seed in options.seeds:
                key = f"{steps} steps, seed {seed}"
                if key not in measured:
                    measured[key] = measure(options, steps, seed)
                    write_json(RESULTS, {"measured": measured, **environment()})
                    print(key, json.dumps(measured[key]["further"]), flush=True)
    draw(measured)


def measure(options: argparse.Namespace, steps: int, seed: int) -> dict[str, Any]:
    config = override(camvid_dilation(), {"seed": seed, "dilation_learning_rate": 0.0})
    before = fitted(config, options, options.runs / f"{steps}_{seed}", {"steps": steps})
    network = load_model(str(before)).network
    return {
        "steps": single_steps(network, batches(config, options)),
        "further": {
            name: mean_loss(
                fitted(
                    config,
                    options,
                    options.runs / f"{steps}_{seed}_{name}",
                    {
                        "steps": options.further,
                        "warmup": 0,
                        "weights": str(before / "checkpoints" / "best.ckpt"),
                        "learning_rate": config.learning_rate / 10 if weights else 0.0,
                        "dilation_learning_rate": camvid_dilation().dilation_learning_rate
                        if factors
                        else 0.0,
                    },
                )
            )
            for name, (factors, weights) in {"neither": (False, False), **MOVES}.items()
        },
    }


def fitted(config: Segmentation, options: argparse.Namespace, run: Path, changes: dict[str, Any]) -> Path:
    """The folder of a finished training, which is done unless it is there."""
    config = override(config, {**changes, "validate_every": changes["steps"]})
    if not (run / "checkpoints" / "best.ckpt").exists():
        train(config, "camvid_dilation", options.data, run, machine=Machine(progress=False))
    return run


def mean_loss(run: Path) -> float:
    """Over the last third of a training's log."""
    with (run / "log.csv").open(newline="") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file) if row["train_loss"]]
    return round(float(np.mean(losses[-len(losses) // 3 :])), 4)


def batches(config: Segmentation, options: argparse.Namespace) -> list[tuple[Tensor, Tensor]]:
    loader = training_loader(
        open_split(config, options.data, "train"),
        training_transform(config),
        config.batch_size,
        seed=1000,
        workers=0,
    )
    return [
        (batch["image"], batch["labels"]) for batch, _ in zip(loader, range(options.batches), strict=False)
    ]


def single_steps(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> dict[str, list[list[float]]]:
    """By what share a step lowers the loss: for each move, a row for each batch, a column for each of SHARES."""
    network = copy.deepcopy(network).train()
    factors = dilation_parameters(network)
    chosen = {id(factor) for factor in factors}
    parameters = [p for p in network.parameters() if p.requires_grad]
    lowered: dict[str, list[list[float]]] = {name: [] for name in MOVES}
    for image, labels in batches:
        loss = loss_of(network, image, labels)
        gradients = torch.autograd.grad(loss, parameters)
        square = {
            of_factors: sum(
                float(g.square().sum())
                for p, g in zip(parameters, gradients, strict=True)
                if (id(p) in chosen) == of_factors
            )
            for of_factors in (True, False)
        }
        start = [p.detach().clone() for p in parameters]
        for name, moved in MOVES.items():
            row = []
            for share in SHARES:
                with torch.no_grad():
                    for p, at, g in zip(parameters, start, gradients, strict=True):
                        of_factors = id(p) in chosen
                        length = (
                            share * float(loss) / square[of_factors] if moved[0 if of_factors else 1] else 0
                        )
                        p.copy_(at - length * g)
                    row.append(round(1 - float(loss_of(network, image, labels)) / float(loss), 6))
            lowered[name].append(row)
        with torch.no_grad():
            for p, at in zip(parameters, start, strict=True):
                p.copy_(at)
    return lowered


def loss_of(network: nn.Module, image: Tensor, labels: Tensor) -> Tensor:
    torch.manual_seed(0)  # the same units are dropped
    return nn.functional.cross_entropy(network(image), labels, ignore_index=255)


def draw(measured: dict[str, Any]) -> None:
    """The loss taken away against the loss that should be, and the loss of the trainings that go on."""
    from matplotlib import pyplot as plt

    stages = sorted({int(key.split()[0]) for key in measured})
    figure, axes = plt.subplots(
        1, len(stages) + 1, figsize=(3.2 * (len(stages) + 1), 3), layout="constrained"
    )
    for axis, stage in zip(axes, stages, strict=False):
        results = [result for key, result in measured.items() if int(key.split()[0]) == stage]
        lowered = {name: np.concatenate([r["steps"][name] for r in results]).mean(0) for name in MOVES}
        for name, values in lowered.items():
            axis.plot(SHARES, values, marker="o", markersize=3, label=name)
        together = lowered["factors"] + lowered["weights"]
        axis.plot(SHARES, together, color="0.5", linewidth=1, linestyle="--", label="the two alone, added")
        axis.set(xscale="log", title=f"after {stage} steps", xlabel="share of the loss a step should take")
        axis.axhline(0, color="0.8", linewidth=0.8)
    axes[0].set_ylabel("share of the loss it takes")
    axes[0].legend(fontsize=7, frameon=False)
    for name in MOVES:
        gains = [
            [
                r["further"][name] - r["further"]["neither"]
                for k, r in measured.items()
                if int(k.split()[0]) == s
            ]
            for s in stages
        ]
        axes[-1].errorbar(
            range(len(stages)),
            np.mean(gains, 1),
            np.std(gains, 1),
            marker="o",
            markersize=3,
            capsize=2,
            label=name,
        )
    axes[-1].set_xticks(range(len(stages)), stages)
    axes[-1].set(title="training goes on", xlabel="steps before", ylabel="loss, against neither")
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
