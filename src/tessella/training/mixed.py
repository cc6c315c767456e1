"""Training with synthetic features beside real images (thesis, section 6.2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessella.datasets.loading import Batch
from tessella.feature_synthesis import Split
from tessella.training.losses import SegmentationLoss
from tessella.training.segmentation import SegmentationTask


@dataclass(frozen=True)
class Extra:
    """What is trained on beside the real images of a batch.

    loss: of the extra part. weight: of that loss; extra samples for each real one make eq. 6.1 a mean over the batch.
    synthesize: labels [S, H, W] to features; None for the images that the labels are of.
    halves: of the network that is trained.
    hard: of the real images of so many steps the hardest quarter gives the layouts of the next so many; 0 for layouts
        as they come.
    kept: the share of those extra layouts that come from a source of their own, and stay, where ``hard`` is on.
    filter: pixels whose loss is above this many times the mean of their class are left out; 0 for none (Yang et al.,
        FreeMask, NeurIPS 2023: 1.25).
    own_statistics: where batch normalisation is not frozen, synthetic features are normalised by their own batch, and
        never enter the averages.
    """

    loss: SegmentationLoss
    weight: float
    synthesize: Callable[[Tensor], Tensor] | None
    halves: Split
    hard: int = 0
    kept: float = 0.0
    filter: float = 0.0
    own_statistics: bool = False


class MixedTask(SegmentationTask):
    """Real images update the whole network, synthetic features what lies behind the cut (equation 6.1).

    loss = E[CE(decode(encode(x)), y)] + weight * E[CE_eps(decode(generate(y')), y')]
    """

    class_loss: Tensor

    def __init__(self, *arguments: Any, extra: Extra, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.extra = extra
        self.hard_ones: dict[str, Tensor] = {}
        """The hardest of the former steps: labels [N, H, W] uint8, and image [N, C, H, W] where features are real."""
        self.seen: list[dict[str, Tensor]] = []
        self.register_buffer("class_loss", torch.zeros(self.confusion.num_classes))

    def loss_of(self, batch: Batch) -> Tensor:
        loss, logits = self.loss_of_images(batch)
        if self.extra.hard:
            self._watch(logits.detach(), batch)
        loss = loss + self.extra.weight * self._extra_loss(batch)
        self.require_finite(loss, batch)
        return loss

    def _extra_loss(self, batch: Batch) -> Tensor:
        images, labels = self._chosen(batch)
        if self.extra.synthesize is None:
            logits, auxiliary = self.network.forward_with_auxiliary(images)  # type: ignore[operator]
        else:
            with torch.no_grad():
                features = self.extra.synthesize(labels)
            height, width = labels.shape[1:]
            with _own_statistics(self.network, self.extra.own_statistics):
                logits, auxiliary = self.extra.halves.decode_all(features, (height, width))
        if self.extra.filter:
            labels = self._without_outliers(logits.detach(), labels)
        result: Tensor = self.extra.loss(logits, labels, auxiliary)
        return result

    def _chosen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images and labels of the extra part: as drawn, or of hard ones where these are looked for."""
        images, labels = batch["extra_image"], batch["extra_labels"]
        if not self.hard_ones:
            return images, labels
        labels, images = labels.clone(), images.clone()
        hard = torch.rand(len(labels)) >= self.extra.kept
        picked = torch.randint(len(self.hard_ones["labels"]), (int(hard.sum()),))
        labels[hard] = self.hard_ones["labels"][picked].to(labels)
        if "image" in self.hard_ones:
            images[hard] = self.hard_ones["image"][picked].to(images)
        return images, labels

    @torch.no_grad()
    def _watch(self, logits: Tensor, batch: Batch) -> None:
        """The loss of every real image; every ``hard`` steps the hardest quarter is taken."""
        labels = batch["labels"]
        pixels = F.cross_entropy(logits.float(), labels, ignore_index=255, reduction="none").sum((1, 2))
        record = {
            "loss": (pixels / (labels != 255).sum((1, 2)).clamp(min=1)).cpu(),
            "labels": labels.to("cpu", torch.uint8),
        }
        if self.extra.synthesize is None:
            record["image"] = batch["image"].cpu()
        self.seen.append(record)
        if len(self.seen) == self.extra.hard:
            every = {name: torch.cat([each[name] for each in self.seen]) for name in record}
            hardest = every.pop("loss").topk(max(1, len(every["labels"]) // 4)).indices
            self.hard_ones = {name: values[hardest] for name, values in every.items()}
            self.seen = []

    @torch.no_grad()
    def _without_outliers(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(logits.float(), labels, ignore_index=255, reduction="none")
        classes = labels.masked_fill(labels == 255, 0)
        for label in labels.unique().tolist():
            if label != 255:
                mean = loss[labels == label].mean()
                former = self.class_loss[label]
                self.class_loss[label] = torch.where(former > 0, 0.9 * former + 0.1 * mean, mean)
        return labels.masked_fill(loss > self.extra.filter * self.class_loss[classes], 255)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["hard"] = {"taken": self.hard_ones, "seen": self.seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.hard_ones, self.seen = checkpoint["hard"]["taken"], checkpoint["hard"]["seen"]


@contextmanager
def _own_statistics(network: nn.Module, own: bool) -> Iterator[None]:
    """Batch normalisation in training mode goes by the batch, and leaves its averages as they are."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)] if own else []
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
