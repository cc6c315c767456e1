"""Training with synthetic features beside real images (thesis, section 6.2)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from tessella.datasets import IGNORE_INDEX
from tessella.datasets.loading import Batch
from tessella.errors import InputError
from tessella.training.auxiliary_norms import AuxiliaryNorms, batch_norms
from tessella.training.chance import micro_batch
from tessella.training.extra import Extra
from tessella.training.segmentation import SegmentationTask


class MixedTask(SegmentationTask):
    """Real images update the whole network, synthetic features what lies behind the cut (equation 6.1).

    loss = E[CE(decode(encode(x)), y)] + weight * E[CE_eps(decode(generate(y')), y')]

    Where batch normalisation is not frozen, the extra part is normalised by its own batch, and never enters the running
    averages of the real one.
    """

    class_loss: Tensor

    def __init__(self, *arguments: Any, extra: Extra, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.extra = extra
        self.extra_loss = extra.loss  # a module of the task's own, so that its class weights move with it
        self.norms = AuxiliaryNorms(self.network) if extra.auxiliary_norms else None
        self.hardest: list[int] = []
        """Positions in the stream of real samples, of the former batches' hardest quarter."""
        self.seen: list[tuple[float, int]] = []
        """Losses and positions since."""
        self.register_buffer("class_loss", torch.zeros(self.confusion.num_classes))

    def configure_optimizers(self) -> Any:
        made = super().configure_optimizers()
        if self.norms is not None:
            twins = self.norms.twins(self.network)
            for group in made["optimizer"].param_groups:
                group["params"] += [twins[each] for each in group["params"] if each in twins]
        return made

    def loss_of(self, batch: Batch) -> Tensor:
        loss, logits = self.loss_of_images(batch)
        if self.extra.hard:
            self._watch(logits.detach(), batch["labels"])
        return loss + self.extra.weight * self._extra_loss(batch)

    def _extra_loss(self, batch: Batch) -> Tensor:
        images, labels = self._chosen(batch)
        norms = nullcontext() if self.norms is None else self.norms.within(self.network)
        with norms, _own_statistics(self.network):
            if self.extra.decode is None:
                logits, auxiliary = self.network.forward_with_auxiliary(images)  # type: ignore[operator]
            else:
                logits, auxiliary = self.extra.decode(labels)
        if self.extra.filter:
            labels = self._without_outliers(logits.detach(), labels)
        result: Tensor = self.extra_loss(logits, labels, auxiliary)
        return result if self.norms is None else result + self.norms.nothing()

    def _chosen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images and labels of the extra part: as drawn, or of hard samples where these are looked for."""
        images, labels = batch["extra_image"], batch["extra_labels"]
        if self.extra.recall is None or not self.hardest:
            return images, labels
        images, labels = images.clone(), labels.clone()
        places = list(range(len(labels)))
        if self.extra.kept is not None:
            first = self.first_position(len(labels))
            places = [place for place in places if not self.extra.kept(first + place)]
        for place in places:
            position = self.hardest[int(torch.randint(len(self.hardest), ()))]
            image, label = self.extra.recall(position)
            images[place], labels[place] = image.to(images), label.to(labels)
        return images, labels

    @torch.no_grad()
    def _watch(self, logits: Tensor, labels: Tensor) -> None:
        """The loss of every real image; every ``hard`` batches the hardest quarter is taken."""
        pixels = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE_INDEX, reduction="none").sum(
            (1, 2)
        )
        losses = (pixels / (labels != IGNORE_INDEX).sum((1, 2)).clamp(min=1)).tolist()
        first = self.first_position(len(labels))
        self.seen += [(loss, first + place) for place, loss in enumerate(losses)]
        if len(self.seen) >= self.extra.hard * len(labels):
            ranked = sorted(self.seen, reverse=True)
            self.hardest = [position for _, position in ranked[: max(1, len(ranked) // 4)]]
            self.seen = []

    def first_position(self, batch_size: int) -> int:
        """In the stream of samples, of this process's batch."""
        world, rank = self.trainer.world_size, self.global_rank
        return (micro_batch(self) * world + rank) * batch_size

    @torch.no_grad()
    def _without_outliers(self, logits: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE_INDEX, reduction="none")
        classes = labels.masked_fill(labels == IGNORE_INDEX, 0)
        for label in labels.unique().tolist():
            if label != IGNORE_INDEX:
                mean = loss[labels == label].mean()
                former = self.class_loss[label]
                self.class_loss[label] = torch.where(former > 0, 0.9 * former + 0.1 * mean, mean)
        return labels.masked_fill(loss > self.extra.filter * self.class_loss[classes], IGNORE_INDEX)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What each process has seen is its own."""
        seen: list[Any] = [{"hardest": self.hardest, "seen": [list(each) for each in self.seen]}]
        if dist.is_available() and dist.is_initialized():
            (own,), seen = seen, [None] * dist.get_world_size()
            dist.all_gather_object(seen, own)
        checkpoint["synthetic"] = {"source": self.extra.source, "hard": seen}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "synthetic" not in checkpoint:
            raise InputError("synthetic: this run was begun without; begin anew in another --out")
        if checkpoint["synthetic"]["source"] != self.extra.source:
            raise InputError(
                "synthetic.generator: is not the one that this run was begun with; begin anew in another --out"
            )
        own = checkpoint["synthetic"]["hard"][self.global_rank]
        self.hardest = own["hardest"]
        self.seen = [(loss, position) for loss, position in own["seen"]]


@contextmanager
def _own_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation in training mode goes by the batch, and leaves its averages as they are."""
    layers = batch_norms(network)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
