"""Several views of a scene in training and evaluation (thesis, chapter 3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tessella.datasets.loading import Batch
from tessella.errors import InputError
from tessella.pooling.layers import SpatioTemporalPooling
from tessella.pooling.views import Pooling, logits_of_views, pool_views, views_of
from tessella.training.forward import Forward


@dataclass(frozen=True)
class Views:
    """Views of a video, brought together in the labelled one; needs a data set that is ``Prepared``.

    training: views of a training sample, drawn from the frames around the labelled one and with it; 1 for it alone
    test: the same at validation and evaluation
    pooling: brings them together
    recompute: hold the activations of one view at a time, for one more forward pass
    keep_statistics: batch normalisation stays as it was, since views of one room say little of other rooms

    Raises InputError for less than one view, and what ``pooling`` raises for its options.
    """

    training: int = 11
    test: int = 11
    pooling: Callable[..., Pooling] = SpatioTemporalPooling
    recompute: bool = False
    keep_statistics: bool = True

    def __post_init__(self) -> None:
        for use in ("training", "test"):
            if getattr(self, use) < 1:
                raise InputError(f"views.{use}: {getattr(self, use)} given; 1 is the labelled picture alone")
        self.pooling()  # refuses what it cannot do here, not after hours of training


def forward_views(views: Views) -> Forward:
    """What a training step asks of a network and a batch: pooled logits of the targets."""
    pooling = views.pooling()

    def forward(network: Any, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        return logits_of_views(
            network.forward_with_auxiliary,
            views_of(batch["image"], batch.get("neighbours")),
            regions_of(batch),
            pooling,
            recompute=views.recompute and network.training,
        )

    return forward


@contextmanager
def room_for_views(way_out: str) -> Iterator[None]:
    """InputError with the ``way_out`` where memory does not suffice: what views hold is what can be made less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # PyTorch's allocator for the processor has no error of its own.
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if known or "out of memory" in str(error) or "can't allocate memory" in str(error):
            raise InputError(f"memory does not suffice for so many views: {way_out}") from error
        raise


def predict_views(
    log_posteriors: Callable[[Tensor], Tensor], pooling: Pooling, device: torch.device
) -> Callable[[Batch], Tensor]:
    """From a batch with views to posteriors [B, K, H, W] of its targets.

    log_posteriors: pictures [B, C, H, W] to logits, or to logarithms of posteriors: they differ by a number for each
        pixel, and what averaging makes of that is the same for all classes, so that the softmax does not see it.
    """

    def predict(batch: Batch) -> Tensor:
        with room_for_views("give fewer with --views (tessella evaluate) or --views.test (train)"):
            views = views_of(batch["image"], batch.get("neighbours")).to(device)
            scores = torch.stack([torch.cat([log_posteriors(view[None]) for view in one]) for one in views])
            return pool_views(scores, regions_of(batch).to(device), pooling).softmax(1)

    return predict


def regions_of(batch: Batch) -> Tensor:
    """[B, V, L, H, W]; InputError where the samples come without."""
    if "regions" not in batch:
        raise InputError(
            f"{batch['id'][0]} has no regions: views need a data set that is Prepared, and tessella data prepare"
        )
    return batch["regions"]
