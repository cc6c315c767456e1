"""The configuration of a segmentation run, and what it describes: data, network, augmentation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from tessella.datasets import SegmentationDataset
from tessella.datasets.joined import joined_by_name
from tessella.datasets.loading import (
    Transformed,
)
from tessella.datasets.transforms import (
    ColorJitter,
    Compose,
    RandomAffineCrop,
    RandomViews,
    Resize,
    Transform,
)
from tessella.errors import InputError
from tessella.inference import InferencePlan
from tessella.networks.group_norm import with_group_norm
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD, Normalized
from tessella.runs.configuration import require_least
from tessella.runs.privacy import Privacy
from tessella.runs.synthetic import Synthetic
from tessella.runs.training_images import channel_statistics
from tessella.runs.views import Views

FROM_ONE = ("steps", "batch_size", "accumulate", "validate_every")
FROM_ZERO = (
    "rotation",
    "jitter",
    "learning_rate",
    "head_factor",
    "dilation_learning_rate",
    "weight_decay",
    "warmup",
    "power",
    "label_smoothing",
    "auxiliary_weight",
    "clip",
    "frozen_stages",
    "copy_paste",
    "isda",
    "seed",
    "workers",
)


@dataclass(frozen=True)
class Segmentation:
    """Everything that decides the result of training a segmentation network.

    network: the class, with its arguments but num_classes and in_channels
    dataset: the class, with its arguments but root and split
    train_split: trained on; several joined by +
    val_split: chooses the best checkpoint
    test_split: what evaluate measures
    resize: (height, width) that images are brought to first, at evaluation too; none to leave them
    crop: (height, width) of a training crop; none for whole images as they are, not even mirrored
    scale: bounds of the random zoom
    rotation: largest random rotation in degrees
    jitter: largest relative change of brightness, contrast and saturation
    steps: updates of the weights
    batch_size: images in a micro-batch of one process
    accumulate: micro-batches for one update
    optimizer: sgd with momentum 0.9, or adamw
    learning_rate: of the backbone, or of everything where the network names no backbone
    head_factor: the heads learn this much faster than the backbone
    dilation_learning_rate: of learned dilation factors; 0 leaves them as they are
    weight_decay: of all weights but biases, normalisation and dilation factors
    warmup: updates of a linear rise of the rate; then it falls as (1 - step / steps) ** power
    power: exponent of that "poly" rate
    label_smoothing: share of the target spread over all classes
    auxiliary_weight: of the loss of auxiliary heads
    class_weights: none, or balanced: by the inverse root of each class's share of the pixels
    ema: decay of a running average of the weights, which is then what is validated and saved; 0 for none
    clip: largest norm of the gradient; 0 for no limit
    validate_every: updates between validations
    weights: file or hub name of weights to start from
    frozen_stages: of the backbone, that keep these weights; where images come unchanged (crop none, jitter 0) their
        maps are computed once for each image and kept in the run's folder
    keep_statistics: batch normalisation uses, and leaves, the averages that it has from ``weights``
    copy_paste: share of the images over which half of another's segments is laid
    isda: strength of implicit semantic data augmentation at the end of training; 0 for none
    synthetic: features beside the real images of each batch; none to train on images alone
    views: of a video, brought together; none to take each image by itself
    privacy: differential privacy of each training image; none to train without
    seed: decides initial weights, order and augmentation; with privacy only the first
    workers: processes that load data
    inference: how evaluate and predict treat an image
    """

    network: Callable[..., nn.Module]
    dataset: Callable[..., SegmentationDataset]
    train_split: str = "train"
    val_split: str = "val"
    test_split: str = "test"
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = (473, 473)
    scale: tuple[float, float] = (0.5, 2.0)
    rotation: float = 0.0
    jitter: float = 0.4
    steps: int = 20_000
    batch_size: int = 8
    accumulate: int = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.01
    head_factor: float = 10.0
    dilation_learning_rate: float = 0.01
    weight_decay: float = 1e-4
    warmup: int = 0
    power: float = 0.9
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.4
    class_weights: Literal["none", "balanced"] = "none"
    ema: float = 0.0
    clip: float = 0.0
    validate_every: int = 1000
    weights: str | None = None
    frozen_stages: int = 0
    keep_statistics: bool = False
    copy_paste: float = 0.0
    isda: float = 0.0
    synthetic: Synthetic | None = None
    views: Views | None = None
    privacy: Privacy | None = None
    seed: int = 0
    workers: int = 2
    inference: InferencePlan = InferencePlan()

    def __post_init__(self) -> None:
        """Raises InputError for a field that no training can be done with."""
        require_least(self, dict.fromkeys(FROM_ONE, 1) | dict.fromkeys(FROM_ZERO, 0))
        if not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}: a decay lies between 0, for no average, and 1")
        for name in ("jitter", "label_smoothing", "copy_paste"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at most 1")
        for name in ("crop", "resize"):
            size = getattr(self, name)
            if size is not None and min(size) < 1:
                raise InputError(f"{name} is {size}: give a height and a width of 1 or more")


def open_split(config: Segmentation, data: Path, split: str) -> SegmentationDataset:
    """The split of the configuration's data set at ``data``; ``a+b`` is two splits one after the other."""
    parts = [config.dataset(data, name) for name in split.split("+")]
    return parts[0] if len(parts) == 1 else joined_by_name(parts)


def open_test_split(config: Segmentation, data: Path, split: str) -> SegmentationDataset:
    """The split as it is evaluated: with the views that the configuration brings together."""
    return Transformed(open_split(config, data, split), _views(config, "test"))


def build_network(config: Segmentation, dataset: SegmentationDataset) -> Normalized:
    """The configured network for the data set's classes and channels, with random weights."""
    channels = dataset[0].image.shape[2]
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else channel_statistics(dataset)
    return Normalized(bare_network(config, len(dataset.classes), channels), mean, std)


def bare_network(config: Segmentation, num_classes: int, channels: int) -> nn.Module:
    """The configured network with random weights; with group normalisation if it is trained privately."""
    network = config.network(num_classes, channels)
    return with_group_norm(network) if config.privacy else network


def training_transform(config: Segmentation) -> Transform:
    """Views, resize, random affine crop and colour jitter, as configured."""
    crop = [] if config.crop is None else [RandomAffineCrop(config.crop, config.scale, config.rotation)]
    jitter = [ColorJitter(config.jitter, config.jitter, config.jitter)] if config.jitter else []
    return Compose([_views(config, "training"), *_resized(config), *crop, *jitter])


def evaluation_transform(config: Segmentation) -> Transform:
    """Views and resize, as configured; nothing random."""
    return Compose([_views(config, "test"), *_resized(config)])


def _views(config: Segmentation, use: Literal["training", "test"]) -> RandomViews:
    """What leaves the neighbours unread that no one asks for."""
    return RandomViews(1 if config.views is None else getattr(config.views, use))


def _resized(config: Segmentation) -> list[Transform]:
    return [Resize(config.resize)] if config.resize else []
