"""Stops a training that leaves the finite numbers before its weights, or what is saved of them, do."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from tessella.errors import InputError


class NotFinite(InputError):
    """A loss, a gradient or the state of a training is infinite or not a number."""


class Finite(Callback):
    """Raises NotFinite before an update whose losses or gradient are not finite, and before such a state is saved.

    Losses and gradient are looked at together, once an update: a GPU is waited for once. A state is what a checkpoint
    would hold of weights, averages and optimisers; what was infinite at the start, as a mask may be, may stay so.
    A validation loss that is not finite tells of weights that are finite and of no more use.
    """

    def __init__(self) -> None:
        self._infinite: set[str] = set()
        self._ids: list[list[str]] = []
        """Of the images of each micro-batch of the update."""
        self._losses: list[Tensor] = []

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._infinite = {name for name, value in pl_module.state_dict().items() if not _finite(value)}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        parts = batch if isinstance(batch, list) else [batch]
        self._ids.append([name for part in parts for name in part.get("id", ())])

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Tensor
    ) -> None:
        self._losses.append(loss.detach().float())

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: Optimizer
    ) -> None:
        gradients = [
            p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        norm = torch.nn.utils.get_total_norm(gradients)
        *losses, of_gradient = torch.stack([*self._losses, norm.float()]).tolist()
        batches, self._ids, self._losses = self._ids, [], []
        # A task that steps by itself shows no losses.
        for loss, ids in zip(losses, batches, strict=False):
            if not math.isfinite(loss):
                raise NotFinite(f"the loss is {loss} at {_place(trainer, ids)}")
        if not math.isfinite(of_gradient):
            ids = [name for batch in batches for name in batch]
            raise NotFinite(f"the norm of the gradient is {of_gradient} at {_place(trainer, ids)}")

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        loss = float(trainer.callback_metrics.get("val_loss", 0.0))
        if not math.isfinite(loss):
            raise NotFinite(
                f"the validation loss is {loss} at step {trainer.global_step}: lower learning_rate"
            )

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
            for name, value in _tensors(checkpoint.get(part)):
                if name not in self._infinite and not _finite(value):
                    what = "the optimiser's state" if part == "optimizer_states" else name
                    raise NotFinite(
                        f"{what} is no longer finite at step {trainer.global_step}: lower learning_rate"
                    )


def _place(trainer: lightning.Trainer, ids: list[str]) -> str:
    """The step, the images and the terms of the loss, as far as they are known, and what to do."""
    known = [f"images {', '.join(ids)}"] if ids else []
    for name, value in trainer.callback_metrics.items():
        if name.startswith("train_") and name != "train_loss":
            known.append(f"{name.removeprefix('train_')} {float(value):.3g}")
    inside = f" ({'; '.join(known)})" if known else ""
    look = ", or look at these images" if ids else ""
    return f"step {trainer.global_step}{inside}: lower learning_rate{look}"


def _finite(value: Any) -> bool:
    return not isinstance(value, Tensor) or bool(value.isfinite().all())


def _tensors(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All in nested dictionaries and lists, with the keys that lead to them."""
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))
    elif isinstance(state, Sequence) and not isinstance(state, str):
        for place, value in enumerate(state):
            yield from _tensors(value, f"{name}.{place}" if name else str(place))
