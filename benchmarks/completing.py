"""Trainings of the tables beside this file, each of which goes on where it was stopped, and their tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tessella.metrics import SegmentationScores
from tessella.runs.evaluation import evaluate
from tessella.runs.model import load_model
from tessella.runs.segmentation import Segmentation, open_split
from tessella.training.fit import Outcome
from tessella.training.machine import Machine


def complete(
    train_it: Callable[..., Outcome],
    config: Any,
    recipe: str,
    data: Path,
    run: Path,
    machine: Machine = Machine(progress=False),
) -> tuple[Outcome, bool]:
    """Train to the end; and whether a former call had begun it. SystemExit where the user stops it."""
    begun = (run / "checkpoints" / "last.ckpt").exists()
    outcome = train_it(config, recipe, data, run, machine=machine, resume=begun)
    if outcome.interrupted:
        raise SystemExit(f"interrupted at step {outcome.step}; the same command goes on from there")
    return outcome, begun


def tested(run: Path, config: Segmentation, data: Path, split: str, **description: str) -> SegmentationScores:
    """Of the run's best checkpoint; their pages are in the run."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(str(run))
    model.network.to(device)
    return evaluate(
        model.on_batches(device),
        open_split(config, data, split),
        run / "evaluation" / split,
        description={**description, "split": split, "checkpoint": "best.ckpt"},
        pictures=0,
    )


def file_name(row: str, seed: int) -> str:
    return f"{row.replace(', ', '_').replace(' ', '_')}_{seed}"
