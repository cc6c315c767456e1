"""The Lightning task that trains a segmentation network."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tessella.datasets.loading import Batch
from tessella.metrics import ConfusionMatrix
from tessella.training.auxiliary_norms import batch_norms
from tessella.training.chance import seed_micro_batch
from tessella.training.forward import Forward, logits_of_images


class SegmentationTask(lightning.LightningModule):
    """Trains ``network`` with ``loss`` and validates it by its confusion matrix.

    network: what ``forward`` takes; by default picture [B, C, H, W] to logits [B, K, H, W].
    loss: (logits, labels, auxiliary) to a scalar.
    configure: network to its optimiser and the schedule of its rate, stepped after each update.
    num_classes: K. seed: decides dropout; each micro-batch draws afresh from (seed, its number), so that a resumed run
    repeats an uninterrupted one. keep_statistics: batch normalisation uses, and leaves, the averages that it has.
    augment: (logits, labels, progress from 0 to 1) to the logits that the loss is of, in training.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        configure: Callable[[nn.Module], tuple[Optimizer, LRScheduler]],
        num_classes: int,
        seed: int,
        forward: Forward = logits_of_images,
        keep_statistics: bool = False,
        augment: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.configure = configure
        self.confusion = ConfusionMatrix(num_classes)
        self.seed = seed
        self.forward_batch = forward
        self.keep_statistics = keep_statistics
        self.augment = augment
        self._validation_loss: list[Tensor] = []

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.configure(self.network)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        seed_micro_batch(self, self.seed)
        if self.keep_statistics:
            for layer in batch_norms(self.network):
                layer.eval()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss_of(batch)
        self.log_step(loss)
        return loss

    def loss_of(self, batch: Batch) -> Tensor:
        """Scalar."""
        return self.loss_of_images(batch)[0]

    def loss_of_images(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scalar, and the logits [B, K, H, W] that it is of."""
        logits, auxiliary = self.forward_batch(self.network, batch)
        if self.augment is not None:
            logits = self.augment(logits, batch["labels"], self.global_step / self.trainer.max_steps)
        return self.loss(logits, batch["labels"], auxiliary), logits

    def log_step(self, loss: Tensor) -> None:
        self.log("train_loss", loss, prog_bar=True)
        self.log("learning_rate", self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits, _ = self.forward_batch(self.network, batch)
        self._validation_loss.append(self.loss(logits, batch["labels"]))
        self.confusion.update(logits.argmax(1), batch["labels"])

    def on_validation_epoch_end(self) -> None:
        log_validation(self, self.confusion, self._validation_loss)


def log_validation(task: lightning.LightningModule, confusion: ConfusionMatrix, losses: list[Tensor]) -> None:
    """Logs what all processes have gathered, and begins anew."""
    scores = confusion.all_reduce().compute()
    loss = torch.stack(losses).mean()
    losses.clear()
    confusion.reset()
    task.log("val_loss", loss, sync_dist=True)
    task.log("val_mean_iou", scores.mean_iou, prog_bar=True, sync_dist=True)
    task.log("val_pixel_accuracy", scores.pixel_accuracy, sync_dist=True)
    task.log("val_class_accuracy", scores.class_accuracy, sync_dist=True)
