"""Generators of images on several processes."""

from pathlib import Path

import pytest
import torch
from tests.training.ddp_images import MODELS, STEPS, batch
from tests.training.processes import run_script

from tessella.training.fit import _strategy
from tessella.training.images import ImageTask


@pytest.mark.parametrize(
    ("name", "strategy"),
    [("separate", "ddp_find_unused_parameters_true"), ("pix2pix", "ddp"), ("bicycle", "ddp")],
)
def test_processes_expect_what_a_step_leaves_out(name: str, strategy: str) -> None:
    task = ImageTask(MODELS[name](), lambda parameters: None, seed=0)
    assert _strategy(task, 2) == strategy
    assert _strategy(task, 1) == "auto"
    sum(task.model.losses(batch(0), 0).values()).backward()
    left_out = [p for p in task.model.parameters() if p.requires_grad and p.grad is None]
    assert bool(left_out) == (strategy != "ddp")


@pytest.mark.slow
def test_two_processes_train_every_generator(tmp_path: Path) -> None:
    run_script("ddp_images.py", tmp_path, *MODELS)
    for name in MODELS:
        checkpoint = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["global_step"] == STEPS
