"""Training on Lightning: exact resume, interruption, failures, and several processes."""

import csv
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.processes import run_script
from torch import nn

from tessella.datasets import LabelClass, Sample
from tessella.datasets.loading import evaluation_loader, training_loader
from tessella.datasets.transforms import RandomAffineCrop
from tessella.errors import InputError
from tessella.training import checkpoints
from tessella.training.checkpoint_files import read_checkpoint
from tessella.training.fit import Outcome, fit
from tessella.training.losses import SegmentationLoss
from tessella.training.machine import Machine
from tessella.training.schedules import parameter_groups, poly, sgd
from tessella.training.segmentation import SegmentationTask


class Squares:
    """Pictures whose labels are the brightness of the pixel, in two classes."""

    classes = (LabelClass("dark", (0, 0, 0)), LabelClass("bright", (255, 255, 255)))

    def __init__(self, length: int) -> None:
        self.ids = [f"square{i}" for i in range(length)]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        image = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        return Sample(self.ids[index], image, (image.mean(2) > 127).astype(np.uint8))


class Net(nn.Module):
    """Batch norm and dropout, so that running statistics and random masks must be resumed too."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(8, 2, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(image.float() / 255))


def _configure(steps: int, network: nn.Module):
    optimizer = sgd(parameter_groups(network, 0.1, 2.0, 1e-4))
    return optimizer, poly(optimizer, steps)


def train(
    run: Path,
    *,
    steps: int = 12,
    resume: bool = False,
    network: nn.Module | None = None,
    accumulate: int = 1,
    ema: float = 0.0,
    clip: float = 0.0,
    machine: Machine = Machine(accelerator="cpu", precision="fp32", progress=False),
    callback=None,
    describe=lambda machine: None,
) -> Outcome:
    torch.manual_seed(0)
    task = SegmentationTask(network or Net(), SegmentationLoss(), partial(_configure, 12), 2, seed=3)
    if callback is not None:
        task.on_before_optimizer_step = callback.__get__(task)
    data = Squares(10)

    def training(start: int, rank: int, world_size: int):
        crop = RandomAffineCrop((12, 12))
        return training_loader(
            data, crop, 4, seed=5, workers=0, start=start, rank=rank, world_size=world_size
        )

    return fit(
        task,
        training,
        partial(evaluation_loader, data),
        run,
        steps=steps,
        validate_every=5,
        accumulate=accumulate,
        ema=ema,
        clip=clip,
        machine=machine,
        resume=resume,
        content={"recipe": "test"},
        describe=describe,
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def validation_scores(run: Path) -> list[float]:
    with (run / "log.csv").open() as file:
        return [float(row["val_mean_iou"]) for row in csv.DictReader(file) if row["val_mean_iou"]]


def assert_same_run(a: Path, b: Path) -> None:
    for name, value in weights(a).items():
        assert torch.equal(value, weights(b)[name]), name
    assert (a / "log.csv").read_text() == (b / "log.csv").read_text()


@pytest.mark.parametrize("stopped", [7, 5])
@pytest.mark.parametrize(("accumulate", "ema"), [(1, 0.0), (2, 0.9)])
def test_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, accumulate: int, ema: float, stopped: int
) -> None:
    """Stopped by the user in mid-epoch (10 images in batches of 4), between two validations or just before one."""

    def interrupt(task, optimizer) -> None:
        if task.global_step == stopped - 1:
            os.kill(os.getpid(), signal.SIGINT)

    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert train(whole, accumulate=accumulate, ema=ema).step == 12
    first = train(parted, callback=interrupt, accumulate=accumulate, ema=ema)
    assert first.interrupted
    assert first.step == stopped
    assert read_checkpoint(parted / "checkpoints" / "last.ckpt")["tessella"]["step"] == stopped
    second = train(parted, resume=True, accumulate=accumulate, ema=ema)
    assert not second.interrupted
    assert second.step == 12
    assert_same_run(whole, parted)
    for run in (whole, parted):
        assert sorted(file.name for file in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_are_clipped(precision, tmp_path: Path) -> None:
    norms = []

    def note(task, optimizer) -> None:
        norms.append(float(torch.nn.utils.get_total_norm(p.grad for p in task.parameters())))

    machine = Machine(accelerator="cpu", precision=precision, progress=False)
    train(tmp_path / "free", steps=1, callback=note, machine=machine)
    train(tmp_path / "clipped", steps=1, callback=note, machine=machine, clip=norms[0] / 2)
    assert norms[1] == pytest.approx(norms[0] / 2, rel=1e-3)


def test_interrupted_at_the_last_step_it_is_validated_and_done(tmp_path: Path) -> None:
    def interrupt(task, optimizer) -> None:
        if task.global_step == 11:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = train(tmp_path, callback=interrupt)
    assert (outcome.step, outcome.interrupted) == (12, False)
    assert len(validation_scores(tmp_path)) == 3
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_another_optimiser_or_network_is_refused_and_the_run_goes_on_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wider(Net):
        def __init__(self) -> None:
            super().__init__()
            self.head.append(nn.Conv2d(2, 2, 1))

    described: list[Machine] = []
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "_configure", _adam)
        train(tmp_path, steps=5, describe=described.append)
        with pytest.raises(
            InputError, match=r"last.ckpt does not fit these settings: resume with the run's own"
        ):
            train(tmp_path, resume=True, network=Wider(), describe=described.append)
    with pytest.raises(InputError, match="another optimiser than SGD"):
        train(tmp_path, resume=True, describe=described.append)
    assert [machine.precision for machine in described] == ["fp32"]
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "_configure", _adam)
        assert train(tmp_path, resume=True, describe=described.append).step == 12
    assert len(described) == 2


def _adam(steps: int, network: nn.Module):
    optimizer = torch.optim.Adam(parameter_groups(network, 0.1, 2.0, 1e-4))
    return optimizer, poly(optimizer, steps)


def test_a_validation_split_without_labels_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SegmentationTask, "on_validation_epoch_end", _no_score)
    with pytest.raises(InputError, match="val_mean_iou is not a number: no pixel of the validation split"):
        train(tmp_path)


def _no_score(task: SegmentationTask) -> None:
    task.log("val_mean_iou", torch.nan)


def test_killed_run_resumes_from_its_last_validation(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die_at_step_eight(task, optimizer) -> None:
        if task.global_step == 8:
            raise Killed

    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(whole)
    with pytest.raises(Killed):
        train(parted, callback=die_at_step_eight)
    assert read_checkpoint(parted / "checkpoints" / "last.ckpt")["tessella"]["step"] == 5
    train(parted, resume=True)
    assert_same_run(whole, parted)


def test_training_learns_and_keeps_the_best_state(tmp_path: Path) -> None:
    train(tmp_path)
    measured = validation_scores(tmp_path)
    assert len(measured) == 3  # after 5, 10 and the last of 12 steps
    best = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert best["callbacks"]["Checkpoints"]["best_score"] == pytest.approx(max(measured), abs=1e-5)
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_the_log_has_what_the_saved_network_scores(tmp_path: Path) -> None:
    train(tmp_path)
    network = Net()
    network.load_state_dict(
        {name.removeprefix("network."): value for name, value in weights(tmp_path).items()}
    )
    counts = np.zeros((2, 2))
    with torch.no_grad():
        for batch in evaluation_loader(Squares(10)):
            predicted = network.eval()(batch["image"]).argmax(1)
            np.add.at(counts, (batch["labels"].numpy().ravel(), predicted.numpy().ravel()), 1)
    hits = np.diag(counts)
    expected = {
        "val_mean_iou": (hits / (counts.sum(0) + counts.sum(1) - hits)).mean(),
        "val_pixel_accuracy": hits.sum() / counts.sum(),
        "val_class_accuracy": (hits / counts.sum(1)).mean(),
    }
    with (tmp_path / "log.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row["val_mean_iou"]][-1]
    assert {name: float(last[name]) for name in expected} == pytest.approx(expected, abs=1e-5)


def test_nan_loss_names_step_and_images(tmp_path: Path) -> None:
    network = Net()
    with torch.no_grad():
        network.head[1].weight.fill_(float("nan"))
    message = (
        r"loss is nan at step 0 \(images square\d.*\): lower learning_rate.*; no checkpoint was written$"
    )
    with pytest.raises(InputError, match=message):
        train(tmp_path, network=network)
    assert not list((tmp_path / "checkpoints").iterdir())


def tensors(state: object) -> list[torch.Tensor]:
    """All that a checkpoint holds."""
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def assert_kept(run: Path, step: int) -> None:
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert checkpoint["tessella"]["step"] == step
    assert len(tensors(checkpoint)) > 10
    assert all(tensor.isfinite().all() for tensor in tensors(checkpoint))


@pytest.mark.parametrize(("accumulate", "ema"), [(1, 0.0), (2, 0.9)])
def test_a_gradient_that_is_no_number_never_reaches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int, ema: float
) -> None:
    """The loss is finite; the update is the last one before a validation, which would save what it makes."""

    def spoil(task: SegmentationTask) -> None:
        if task.global_step == 9:
            task.network.backbone[0].weight.grad[0, 0, 0, 0] = float("nan")

    monkeypatch.setattr(SegmentationTask, "on_after_backward", spoil)
    message = (
        r"the norm of the gradient is nan at step 9 \(images (square\d(, )?)+\): .*last\.ckpt holds step 5$"
    )
    with pytest.raises(InputError, match=message):
        train(tmp_path, accumulate=accumulate, ema=ema)
    assert_kept(tmp_path, 5)
    monkeypatch.undo()
    assert train(tmp_path, steps=6, resume=True, accumulate=accumulate, ema=ema).step == 6


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda task: task.network.head[1].bias.data, "the validation loss is nan"),
        (lambda task: task.network.unused.data, "network.unused is no longer finite"),
        (
            lambda task: task.trainer.optimizers[0].state[task.network.head[1].bias]["momentum_buffer"],
            "the optimiser's state is no longer finite",
        ),
    ],
)
def test_a_state_that_is_not_finite_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled, message: str
) -> None:
    def spoil(task: SegmentationTask, *_: object) -> None:
        if task.global_step == 10:
            spoiled(task).fill_(float("inf"))

    network = Net()
    network.unused = nn.Parameter(torch.zeros(3))
    monkeypatch.setattr(SegmentationTask, "on_train_batch_end", spoil)
    with pytest.raises(InputError, match=rf"{message} at step 10: lower .*last\.ckpt holds step 5$"):
        train(tmp_path, network=network)
    assert_kept(tmp_path, 5)


def test_what_was_infinite_at_the_start_may_stay_so(tmp_path: Path) -> None:
    network = Net()
    network.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    assert train(tmp_path, steps=2, network=network).step == 2


def test_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lightning.pytorch as lightning

    save = lightning.Trainer.save_checkpoint

    def full_after_step_five(self, path, *args, **kwargs):
        if self.global_step > 5:
            Path(path).write_bytes(b"half of a file")
            raise OSError(28, "No space left on device")
        return save(self, path, *args, **kwargs)

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", full_after_step_five)
    with pytest.raises(InputError, match=r"last\.ckpt: No space left on device.*intact"):
        train(tmp_path)
    monkeypatch.undo()
    kept = sorted(file.name for file in (tmp_path / "checkpoints").iterdir())
    assert kept == ["best.ckpt", "last.ckpt"]
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["tessella"]["step"] == 5
    assert train(tmp_path, resume=True).step == 12


def test_a_best_state_that_could_not_be_written_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil, "copyfile", full)
        with pytest.raises(InputError, match=r"last\.ckpt: No space left on device"):
            train(tmp_path / "parted")
    train(tmp_path / "parted")
    train(tmp_path / "whole")
    best = [read_checkpoint(tmp_path / run / "checkpoints" / "best.ckpt") for run in ("parted", "whole")]
    assert best[0]["tessella"]["step"] == best[1]["tessella"]["step"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no checkpoint at"), (b"", "cannot be read"), (b"half of a file", "cannot be read")],
)
def test_unreadable_checkpoint(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.ckpt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_checkpoint(path)


def test_foreign_checkpoint(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="not written by tessella train"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"tessella": Evil()}, tmp_path / "x.ckpt")
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(tmp_path / "x.ckpt")
    assert not (tmp_path / "executed").exists()


def test_bf16_trains_on_the_cpu(tmp_path: Path) -> None:
    machine = Machine(accelerator="cpu", precision="bf16", progress=False)
    assert train(tmp_path, steps=5, machine=machine).step == 5


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    """Without batch norm, two processes with batches of 4 take the steps of one with batches of 8."""
    for devices in ("1", "2"):
        run_script("ddp_run.py", devices, tmp_path / devices)
    for name, value in weights(tmp_path / "1").items():
        torch.testing.assert_close(value, weights(tmp_path / "2")[name], rtol=1e-4, atol=1e-5)
    assert validation_scores(tmp_path / "1") == pytest.approx(validation_scores(tmp_path / "2"), abs=1e-3)


@pytest.mark.parametrize("field", ["devices", "nodes"])
def test_a_machine_without_devices(field: str) -> None:
    with pytest.raises(InputError, match=f"^{field} is 0: give at least 1"):
        Machine(**{field: 0})


def test_a_gpu_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(kind, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^accelerator gpu: PyTorch finds none here"):
        Machine(accelerator="gpu")


def test_more_processes_than_validation_images(tmp_path: Path) -> None:
    machine = Machine(devices=11, accelerator="cpu", precision="fp32", progress=False)
    with pytest.raises(InputError, match=r"^11 processes share fewer validation images: give fewer devices"):
        train(tmp_path, machine=machine)
