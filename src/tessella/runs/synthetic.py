"""Synthetic features in the training of a segmentation network (thesis, chapter 6)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tessella.datasets import SegmentationDataset
from tessella.datasets.loading import Beside, BlendedStream, SampleStream, stream_loader
from tessella.datasets.transforms import Transform
from tessella.errors import InputError
from tessella.feature_synthesis import one_hot_layout
from tessella.feature_synthesis.layouts import random_codes
from tessella.feature_synthesis.residual import Residuals
from tessella.networks.normalized import Normalized
from tessella.training.losses import SegmentationLoss
from tessella.training.mixed import Extra

if TYPE_CHECKING:
    from tessella.runs.feature_gan import TrainedGenerator


@dataclass(frozen=True)
class Synthetic:
    """What is trained on beside the real images of each batch.

    generator: run or checkpoint of a generator of features; empty for real images again, which is the control
    ratio: share of synthetic samples in a batch; they come beside batch_size real ones
    label_smoothing: of the synthetic part
    batch_norm: of synthetic features, where that of the network is not frozen; own: by their own batch, whose
        statistics never enter the averages
    hard: steps whose hardest real images give the layouts of the next so many; 0 for layouts as they come
    spread: of noise that is added to features, in deviations of real ones around generated ones of their class
    filter: leaves out pixels whose loss is so many times the mean of their class; 0 for none
    masks: a data set with further layouts, in the same classes
    masks_data: its folder
    masks_split: its split
    masks_share: of the layouts that come from it
    """

    generator: str = ""
    ratio: float = 0.3
    label_smoothing: float = 1e-4
    batch_norm: Literal["own", "shared"] = "own"
    hard: int = 0
    spread: float = 0.0
    filter: float = 0.0
    masks: Callable[..., SegmentationDataset] | None = None
    masks_data: str = ""
    masks_split: str = "train"
    masks_share: float = 0.25

    def number(self, batch_size: int) -> int:
        """Of synthetic samples beside ``batch_size`` real ones. InputError for a ratio that leaves nothing of one."""
        if not 0 < self.ratio < 1:
            raise InputError(f"synthetic.ratio {self.ratio}: give more than 0 and less than 1")
        return max(1, round(batch_size * self.ratio / (1 - self.ratio)))

    def extra(
        self,
        network: Normalized,
        loss: SegmentationLoss,
        batch_size: int,
        train_set: SegmentationDataset,
        transform: Transform,
    ) -> Extra:
        """For the training of ``network``.

        Raises InputError where the generator is for other layers or other classes than the network has.
        """
        num_classes = len(train_set.classes)
        trained = self._load(network, num_classes)
        residuals = _residuals(trained, train_set, transform) if trained and self.spread else None
        return Extra(
            loss,
            self.number(batch_size) / batch_size,
            None if trained is None else _Synthesis(trained, num_classes, residuals, self.spread),
            None if trained is None else trained.halves_of(network),  # type: ignore[arg-type]
            self.hard,
            self.masks_share if self.masks else 0.0,
            self.filter,
            self.batch_norm == "own",
        )

    def _load(self, network: Normalized, num_classes: int) -> "TrainedGenerator | None":
        from tessella.runs.feature_gan import load_generator  # which reads configurations that hold this one

        if not self.generator:
            return None
        trained = load_generator(self.generator)
        if len(trained.classes) != num_classes:
            raise InputError(
                f"synthetic.generator {self.generator} makes features of {len(trained.classes)} classes, the data set "
                f"has {num_classes}"
            )
        shapes, own = (
            {name: tuple(value.shape) for name, value in module.state_dict().items()}
            for module in (trained.network, network)
        )
        if shapes != own:
            raise InputError(
                f"synthetic.generator {self.generator} was trained for another network: "
                f"{next(iter(set(shapes.items()) ^ set(own.items())))[0]} differs"
            )
        return trained

    def beside(
        self,
        main: DataLoader[Any],
        train_set: SegmentationDataset,
        transform: Transform,
        batch_size: int,
        **options: int,
    ) -> Beside:
        """The batches of ``main`` with layouts beside them, drawn apart.

        options: seed, workers, start, rank, world_size, as of ``training_loader``.
        """
        seed = options.pop("seed") + 1_000_000  # another order than the images'
        stream: Any = SampleStream(train_set, transform, seed)
        if self.masks is not None:
            masks = self.masks(Path(self.masks_data), self.masks_split)
            if masks.classes != train_set.classes:
                raise InputError(
                    f"synthetic.masks: {self.masks_data} has other classes than the training data"
                )
            further = SampleStream(masks, transform, seed)
            stream = further if self.hard else BlendedStream(stream, further, self.masks_share, seed)
        return Beside(main, stream_loader(stream, self.number(batch_size), **options))


class _Synthesis:
    """Labels to features, with a new code for each."""

    def __init__(
        self,
        trained: "TrainedGenerator",
        num_classes: int,
        residuals: Residuals | None = None,
        spread: float = 0.0,
    ) -> None:
        self.residuals, self.spread = residuals, spread
        self.generator: nn.Module = trained.generator
        self.code_channels = trained.generator.code_channels
        self.stride = trained.config.layout_stride
        self.num_classes = num_classes

    def __call__(self, labels: Tensor) -> Tensor:
        self.generator.to(labels.device)
        layouts = one_hot_layout(labels, self.num_classes, self.stride)
        layouts = layouts.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.generator(layouts, random_codes(layouts, self.code_channels))
        if self.residuals is not None:
            noise = self.residuals.sample(labels, (features.shape[-2], features.shape[-1]))
            features = features + self.spread * noise.to(features.device)
        return features


@torch.no_grad()
def _residuals(
    trained: "TrainedGenerator", train_set: SegmentationDataset, transform: Transform
) -> Residuals:
    """Of real features around those that the generator makes of their layouts, on 128 augmented training images."""
    make = _Synthesis(trained, len(train_set.classes))
    loader = stream_loader(SampleStream(train_set, transform, seed=0), 8)
    return Residuals.measure(
        (
            (trained.halves.encode(batch["image"]), make(batch["labels"]), batch["labels"])
            for batch in islice(loader, 16)
        ),
        len(train_set.classes),
    )
