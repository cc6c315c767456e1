"""The configuration of a segmentation run, and training from it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from tessella.datasets import SegmentationDataset
from tessella.datasets.joined import Joined
from tessella.datasets.loading import Transformed, evaluation_loader, poisson_loader, training_loader
from tessella.datasets.transforms import (
    ColorJitter,
    Compose,
    RandomAffineCrop,
    RandomViews,
    Resize,
    Transform,
)
from tessella.dilation import dilation_parameters
from tessella.inference import InferencePlan
from tessella.networks.frozen import freeze_stages
from tessella.networks.group_norm import with_group_norm
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD, Normalized
from tessella.networks.weights import load_weights
from tessella.runs.configuration import to_json
from tessella.runs.environment import command, environment, write_json
from tessella.runs.privacy import Privacy
from tessella.runs.training_images import balanced_weights, channel_statistics
from tessella.runs.views import Views, forward_views
from tessella.training.factor_log import FactorLog
from tessella.training.fit import Machine, Outcome, fit, require_no_run, resolve_precision
from tessella.training.losses import SegmentationLoss
from tessella.training.privacy_log import PrivacyLog
from tessella.training.schedules import adamw, parameter_groups, poly, sgd
from tessella.training.segmentation import SegmentationTask, logits_of_images


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
    views: Views | None = None
    privacy: Privacy | None = None
    seed: int = 0
    workers: int = 2
    inference: InferencePlan = InferencePlan()


def train(
    config: Segmentation,
    recipe: str,
    data: Path,
    run: Path,
    *,
    machine: Machine = Machine(),
    resume: bool = False,
) -> Outcome:
    """Train as ``config`` says on the data set at ``data``; checkpoints, logs and configuration go to ``run``.

    Raises:
        InputError: missing data, an existing run without ``resume``, NaN loss, a full disk; see ``Privacy.require``.
    """
    if not resume:
        require_no_run(run)
    torch.manual_seed(config.seed)
    train_set = open_split(config, data, config.train_split)
    val_set = open_split(config, data, config.val_split)
    network = build_network(config, train_set)
    if config.privacy:
        config.privacy.require(config, len(train_set), network.mean.numel(), machine.devices * machine.nodes)
    if config.weights and not resume:
        print(load_weights(network.network, config.weights, strict=False))
    if config.frozen_stages:
        unchanged = config.crop is None and not config.jitter
        freeze_stages(network, config.frozen_stages, run / "features" if unchanged else None)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = resolve_precision(machine.precision)
    task = _task(config, network, train_set)
    description = {
        "recipe": recipe,
        "data": str(data.resolve()),
        "config": to_json(config),
    }
    write_json(run / "config.json", description)
    write_json(
        run / "environment.json",
        {**environment(), "command": command(), "seed": config.seed, "precision": precision},
    )
    content = {
        "recipe": recipe,
        "config": to_json(config),
        "classes": [[name, list(color)] for name, color in train_set.classes],
        "in_channels": int(network.mean.numel()),
    }
    callbacks: list[Callback] = [FactorLog(run / "dilation.json")] if dilation_parameters(network) else []
    if config.privacy:
        callbacks.append(PrivacyLog(run / "privacy.json"))
    return fit(
        task,
        lambda start, rank, world_size: _training_loader(config, train_set, start, rank, world_size),
        lambda _, rank, world_size: evaluation_loader(
            Transformed(val_set, Compose([_views(config, "test"), *_resized(config)])),
            workers=min(config.workers, 1),
            rank=rank,
            world_size=world_size,
        ),
        run,
        steps=config.steps,
        validate_every=config.validate_every,
        accumulate=config.accumulate,
        ema=config.ema,
        clip=config.clip,
        machine=machine,
        resume=resume,
        content=content,
        callbacks=callbacks,
    )


def _task(config: Segmentation, network: Normalized, train_set: SegmentationDataset) -> SegmentationTask:
    loss = SegmentationLoss(
        class_weights=balanced_weights(train_set) if config.class_weights == "balanced" else None,
        label_smoothing=config.label_smoothing,
        auxiliary_weight=config.auxiliary_weight,
    )
    arguments = (network, loss, partial(_optimizer, config), len(train_set.classes), config.seed)
    if config.privacy is None:
        return SegmentationTask(
            *arguments,
            forward=logits_of_images if config.views is None else forward_views(config.views),
            keep_statistics=config.views is not None and config.views.keep_statistics,
        )
    from tessella.training.private import PrivateTask  # needs Opacus

    return PrivateTask(
        *arguments,
        noise=config.privacy.noise,
        clip=config.privacy.clip,
        delta=config.privacy.delta or 1 / len(train_set),
        batch_size=config.batch_size,
        images=len(train_set),
    )


def _training_loader(
    config: Segmentation, train_set: SegmentationDataset, start: int, rank: int, world_size: int
) -> DataLoader[Any]:
    transform = training_transform(config)
    if config.privacy:
        return poisson_loader(train_set, transform, config.batch_size, workers=config.workers)
    return training_loader(
        train_set,
        transform,
        config.batch_size,
        seed=config.seed,
        workers=config.workers,
        start=start,
        rank=rank,
        world_size=world_size,
    )


def open_split(config: Segmentation, data: Path, split: str) -> SegmentationDataset:
    """The split of the configuration's data set at ``data``; ``a+b`` is two splits one after the other."""
    parts = [config.dataset(data, name) for name in split.split("+")]
    return parts[0] if len(parts) == 1 else Joined(parts)


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


def _views(config: Segmentation, use: Literal["training", "test"]) -> RandomViews:
    """What leaves the neighbours unread that no one asks for."""
    return RandomViews(1 if config.views is None else getattr(config.views, use))


def _resized(config: Segmentation) -> list[Transform]:
    return [Resize(config.resize)] if config.resize else []


def _optimizer(config: Segmentation, network: nn.Module) -> tuple[Optimizer, LRScheduler]:
    make = sgd() if config.optimizer == "sgd" else adamw()
    groups = parameter_groups(
        network, config.learning_rate, config.head_factor, config.weight_decay, config.dilation_learning_rate
    )
    optimizer = make(groups)
    return optimizer, poly(optimizer, config.steps, config.power, config.warmup)
