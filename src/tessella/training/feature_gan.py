"""The Lightning task that trains a generator of features."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tessella.adversarial import BicycleGAN, GanLosses
from tessella.datasets.loading import Batch
from tessella.feature_synthesis import Split, one_hot_layout
from tessella.metrics import ConfusionMatrix
from tessella.training.chance import seed_micro_batch
from tessella.training.segmentation import log_validation


class FeatureGanTask(lightning.LightningModule):
    """Trains ``gan`` on what ``network`` makes of images, and scores what it makes of their layouts.

    Validation decodes features sampled for layouts: ``val_mean_iou`` against these layouts is the score that tables 6.2
    and 6.3 call the PSPNet-score; ``val_loss`` is the mean L1 distance of standardised features made again.

    network: stays as it is, and out of the task's own state. halves: its two halves.
    layout_stride: see ``one_hot_layout``. steps: of the training; the rate is constant for the first half of them, then
    falls to 0. seed: decides all chance.
    """

    def __init__(
        self,
        gan: BicycleGAN,
        network: nn.Module,
        halves: Split,
        num_classes: int,
        *,
        layout_stride: int,
        learning_rate: float,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.gan = gan
        self._network = [network.requires_grad_(False).eval()]  # in a list: not a part of what is trained
        self.halves = halves
        self.num_classes = num_classes
        self.layout_stride = layout_stride
        self.learning_rate = learning_rate
        self.steps = steps
        self.seed = seed
        self.confusion = ConfusionMatrix(num_classes)
        self._distances: list[Tensor] = []

    def on_fit_start(self) -> None:
        self._network[0].to(self.device)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(
            self.gan.parameters(), self.learning_rate, betas=(0.5, 0.999), fused=True
        )
        schedule = LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / max(self.steps, 1))))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        seed_micro_batch(self, self.seed)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses: GanLosses = self.gan(self._layouts(batch["labels"]), self._features(batch["image"]))
        loss = losses.total
        self.log("train_loss", loss, prog_bar=True)
        self.log_dict({f"train_{name}": term for name, term in vars(losses).items()})
        self.log("learning_rate", self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]
        return loss

    def on_validation_start(self) -> None:
        self._generator = torch.Generator().manual_seed(self.seed)  # the same codes each time

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        labels, generator = batch["labels"], self.gan.generator
        layouts, features = self._layouts(labels), self._features(batch["image"])
        size = (features.shape[-2], features.shape[-1])
        codes = generator.draw(len(layouts), size, self._generator).to(layouts.device)
        sampled = generator(layouts, codes, size)
        height, width = labels.shape[1:]
        self.confusion.update(self.halves.decode(sampled, (height, width)).argmax(1), labels)
        code, _ = self.gan.encoder(generator.standardise(features))
        again = generator(layouts, code, size)
        self._distances.append((generator.standardise(again) - generator.standardise(features)).abs().mean())

    def on_validation_epoch_end(self) -> None:
        log_validation(self, self.confusion, self._distances)

    def _layouts(self, labels: Tensor) -> Tensor:
        layouts = one_hot_layout(labels, self.num_classes, self.layout_stride)
        return layouts.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        return self.halves.encode(images).float()


@torch.no_grad()
def measure_channels(
    encode: Callable[[Tensor], Tensor], batches: Iterable[Tensor]
) -> tuple[Tensor, Tensor, float]:
    """Mean and standard deviation [C] of each channel of the features of ``batches`` of images, and the least of all.

    A channel that never changes has deviation 1: standardised it is 0.
    """
    count, total, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    least = math.inf
    for batch in batches:
        values = encode(batch).transpose(0, 1).flatten(1).double()
        count += values.shape[1]
        total = total + values.sum(1)
        squares = squares + values.square().sum(1)
        least = min(least, float(values.min()))
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 1e-6, std, torch.ones_like(std)).float(), least
