"""Trainings of the tables beside this file: each goes on where it was stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
