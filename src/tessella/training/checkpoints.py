"""Saving a run: the last state, the best one, and what the user needs to go on after Ctrl-C."""

import math
import os
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback

from tessella.errors import InputError


class Interrupted(Exception):
    """The user stopped the run; everything is saved."""


class Checkpoints(Callback):
    """Writes ``last.ckpt`` after every validation and on interruption, ``best.ckpt`` when validation improves.

    A file is written beside its place and then moved there, the best one first: a full disk or a killed process leaves
    the former ones, and the last one does not know of a best that is not there. ``content`` is stored under the key
    ``tessella``: what is needed to build the network again without the run's folder. ``score`` is the name of what the
    task logs in validation, the larger the better. ``step`` is what ``last.ckpt`` holds already.
    """

    def __init__(
        self, folder: Path, content: dict[str, Any], score: str = "val_mean_iou", step: int | None = None
    ) -> None:
        self.folder = folder
        self.content = content
        self.score = score
        self.step = step
        self.best_score = -math.inf
        self.begun = False
        self.interrupted = False
        self._former_handlers: dict[int, Any] = {}

    def kept(self) -> str:
        """What there is to go on from."""
        last = self.folder / "last.ckpt"
        return "no checkpoint was written" if self.step is None else f"{last} holds step {self.step}"

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["tessella"] = {**self.content, "step": trainer.global_step}

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        score = float(trainer.callback_metrics[self.score])
        if math.isnan(score):
            raise InputError(
                f"{self.score} is not a number: no pixel of the validation split has a label; {self.kept()}"
            )
        is_best = score > self.best_score
        self.best_score = max(score, self.best_score)
        self._save(trainer, is_best)

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only that may handle signals; a worker of a cluster trains in another one
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former_handlers[number] = signal.signal(number, self._interrupt)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        for optimizer in trainer.optimizers:
            if not all(optimizer.defaults.keys() <= group.keys() for group in optimizer.param_groups):
                raise InputError(
                    f"{self.folder / 'last.ckpt'} was written with another optimiser than "
                    f"{type(optimizer).__name__}: go on with that, or begin anew in another --out"
                )
        self.begun = True

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stops after a validation, which has saved all there is."""
        if self.step == trainer.global_step:
            self._stop_if_interrupted(trainer)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        number = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if trainer.global_step == trainer.max_steps:
            trainer.val_check_batch = number  # the last step is always validated, and so saved
        # Only after a whole update: half-accumulated gradients are not saved. What is to be validated first is saved
        # by that: whoever resumed here would not make up for it.
        accumulated = number % trainer.accumulate_grad_batches == 0
        assert isinstance(trainer.val_check_batch, int)  # of our validate_every
        if accumulated and number % trainer.val_check_batch:
            self._stop_if_interrupted(trainer)

    def _stop_if_interrupted(self, trainer: lightning.Trainer) -> None:
        # The signal need not reach all processes before the same step.
        if trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
            if self.step != trainer.global_step:
                self._save(trainer)
            raise Interrupted

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        for number, handler in self._former_handlers.items():
            signal.signal(number, handler)
        self._former_handlers.clear()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the user insists
            raise KeyboardInterrupt
        self.interrupted = True

    def _save(self, trainer: lightning.Trainer, is_best: bool = False) -> None:
        last = self.folder / "last.ckpt"
        # Lightning writes elsewhere and moves, which between file systems is a copy.
        part = last.with_suffix(".part")
        try:
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                if is_best:
                    _copy(part, self.folder / "best.ckpt")
                os.replace(part, last)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InputError(
                f"cannot write {last}: {error.strerror or error}; the former checkpoint is intact: free some space, "
                "then resume"
            ) from error
        self.step = trainer.global_step


def _copy(source: Path, target: Path) -> None:
    part = target.with_suffix(".copy")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
