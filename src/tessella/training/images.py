"""The Lightning task that trains generators of images, and the networks that judge them."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tessella.training.chance import seed_micro_batch
from tessella.training.learners import Learner, PairBatch


class ImageTask(lightning.LightningModule):
    """Trains ``model``, a ``Learner``; the best is the one of the smallest distance.

    A model that leaves parameters out of some steps says so by an attribute ``find_unused_parameters``.

    configure: parameters to their optimiser and its schedule. seed: decides all chance of a step.
    """

    def __init__(
        self,
        model: nn.Module,
        configure: Callable[[Any], tuple[Optimizer, LRScheduler]],
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.find_unused_parameters = getattr(model, "find_unused_parameters", False)
        self.configure = configure
        self.seed = seed

    def configure_optimizers(self) -> Any:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer, schedule = self.configure(trained)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: PairBatch, batch_idx: int) -> None:
        seed_micro_batch(self, self.seed)

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        model: Learner = self.model  # type: ignore[assignment]
        terms = model.losses(batch, self.global_step)
        loss = torch.stack(list(terms.values())).sum()
        self.log("train_loss", loss, prog_bar=True)
        if len(terms) > 1:
            self.log_dict({f"train_{name}": value for name, value in terms.items()})
        self.log("learning_rate", self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]
        return loss

    def on_validation_start(self) -> None:
        torch.manual_seed(self.seed)  # the same draws each time

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        model: Learner = self.model  # type: ignore[assignment]
        distance, size = model.distance(batch), len(batch["condition"])  # Lightning weights means by the size
        self.log("val_loss", distance, prog_bar=True, sync_dist=True, batch_size=size)
        self.log("val_score", -distance, sync_dist=True, batch_size=size)
