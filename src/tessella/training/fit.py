"""Runs a task on Lightning: devices, precision, logs, checkpoints, exact resume."""

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback, LambdaCallback, RichProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tessella.errors import InputError
from tessella.training.checkpoint_files import read_checkpoint
from tessella.training.checkpoints import Checkpoints, Interrupted
from tessella.training.finite import Finite, NotFinite
from tessella.training.log import CsvLog
from tessella.training.machine import Machine, resolve_precision

TrainingLoader = Callable[[int, int, int], Iterable[Any]]
"""(first micro-batch, rank, world_size) to batches without end."""

ValidationLoader = Callable[..., Iterable[Any]]
"""Of keywords rank and world_size: one pass."""


@dataclass(frozen=True)
class Outcome:
    """How a fit ended: at which step, in which time, and whether the user stopped it."""

    step: int
    seconds: float
    interrupted: bool


class _Loaders(lightning.LightningDataModule):
    """Hands Lightning a training loader that begins where the restored run left off."""

    def __init__(self, training: TrainingLoader, validation: ValidationLoader) -> None:
        super().__init__()
        self.training = training
        self.validation = validation

    def train_dataloader(self) -> Iterable[Any]:
        trainer = self.trainer
        assert trainer is not None
        start = trainer.global_step * trainer.accumulate_grad_batches
        return self.training(start, trainer.global_rank, trainer.world_size)

    def val_dataloader(self) -> Iterable[Any]:
        assert self.trainer is not None
        return self.validation(rank=self.trainer.global_rank, world_size=self.trainer.world_size)


class _Progress(RichProgressBar):
    """Lightning's bar for a loader without end: it counts to the last step, and knows no epochs."""

    @property
    def total_train_batches(self) -> int:
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training"

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}


def fit(
    task: lightning.LightningModule,
    training: TrainingLoader,
    validation: ValidationLoader,
    run: Path,
    *,
    steps: int,
    validate_every: int,
    accumulate: int = 1,
    ema: float = 0.0,
    clip: float = 0.0,
    machine: Machine = Machine(),
    resume: bool = False,
    content: dict[str, Any],
    callbacks: Sequence[Callback] = (),
    score: str = "val_mean_iou",
    describe: Callable[[Machine], None] = lambda machine: None,
) -> Outcome:
    """Train ``task`` for ``steps`` updates and leave checkpoints and logs in ``run``.

    task: where its ``find_unused_parameters`` is true, several processes expect parameters without a gradient.
    validate_every: updates between two validations, each of which saves ``last.ckpt``.
    accumulate: micro-batches for one update. ema: decay of the running average of the weights that is validated and
    saved, 0 for none. clip: largest norm of the gradient, 0 for no limit.
    resume: go on from ``last.ckpt``; the result is that of a run that never stopped.
    content: stored in every checkpoint. callbacks: more of Lightning's, called after the checkpoints'.
    score: what the task logs in validation and the best checkpoint is chosen by.
    describe: called with the precision resolved once training begins, and so not where it cannot be resumed.

    Raises:
        InputError: nothing to resume, or a checkpoint of other settings; a loss, gradient or state that is not finite,
            with the step that ``last.ckpt`` holds; a validation split without labels; disk full.
    """
    processes = machine.devices * machine.nodes
    if not len(validation(rank=processes - 1, world_size=processes)):  # type: ignore[arg-type]
        raise InputError(f"{processes} processes share fewer validation images: give fewer devices")
    last = run / "checkpoints" / "last.ckpt"
    step = int(read_checkpoint(last)["tessella"]["step"]) if resume else None
    checkpoints = Checkpoints(last.parent, content, score, step)
    machine = replace(machine, precision=resolve_precision(machine))
    described = LambdaCallback(on_train_start=lambda *_: rank_zero_only(describe)(machine))
    all_callbacks: list[Callback] = [Finite(), checkpoints, *callbacks, described]
    if ema:  # first, so that a checkpoint holds the average after the step it was taken at
        # Not Lightning's EMAWeightAveraging, which goes tensor by tensor: a twentieth of a small network's step.
        all_callbacks.insert(0, WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(ema)))
    if clip:  # not the trainer's, which refuses it to fused optimisers in bf16
        all_callbacks.append(
            LambdaCallback(
                on_before_optimizer_step=lambda _, task, __: clip_grad_norm_(task.parameters(), clip)
            )
        )
    if machine.progress:
        all_callbacks.append(_Progress(leave=True))
    last.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        trainer = lightning.Trainer(
            max_steps=steps,
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy=_strategy(task, processes),
            precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
            accumulate_grad_batches=accumulate,
            val_check_interval=min(validate_every, steps) * accumulate,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=min(10, validate_every),
            use_distributed_sampler=False,
            callbacks=all_callbacks,
            logger=[
                CsvLog(run / "log.csv", step or 0),
                TensorBoardLogger(run, name="", version="tensorboard"),
            ],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=machine.progress,
            default_root_dir=run,
        )
        start = time.monotonic()
        try:
            trainer.fit(
                task,
                datamodule=_Loaders(training, validation),
                ckpt_path=last if resume else None,
                weights_only=True,
            )
            interrupted = False
        except Interrupted:
            interrupted = True
        except NotFinite as error:
            raise InputError(f"{error}; {checkpoints.kept()}") from error
        except (KeyError, RuntimeError, ValueError) as error:
            if not resume or checkpoints.begun or isinstance(error, InputError):
                raise
            raise InputError(
                f"{last} does not fit these settings: resume with the run's own ({error})"
            ) from error
    return Outcome(trainer.global_step, time.monotonic() - start, interrupted)


def _strategy(task: lightning.LightningModule, processes: int) -> str:
    if processes == 1:
        return "auto"
    return "ddp_find_unused_parameters_true" if getattr(task, "find_unused_parameters", False) else "ddp"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice that does not apply: the loaders are made to be resumed, and chosen in number."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
            warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
            warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
            yield
    finally:
        logger.setLevel(level)


def require_no_run(run: Path) -> None:
    """A new run does not overwrite another.

    Raises:
        InputError: ``run`` holds a checkpoint already.
    """
    if (run / "checkpoints" / "last.ckpt").exists():
        raise InputError(f"{run} holds a run already: add --resume to go on with it, or give another --out")
