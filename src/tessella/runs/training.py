"""Training a segmentation network as its configuration says."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from tessella.datasets import SegmentationDataset, class_names
from tessella.datasets.copy_paste import CopyPaste
from tessella.datasets.loading import (
    Beside,
    SampleStream,
    Transformed,
    evaluation_loader,
    poisson_loader,
    training_loader,
)
from tessella.datasets.transforms import Transform
from tessella.dilation import LearnableDilatedConv2d, dilation_parameters
from tessella.errors import InputError
from tessella.feature_synthesis import ISDA
from tessella.networks.frozen import freeze_stages
from tessella.networks.normalized import Normalized
from tessella.networks.weights import load_weights
from tessella.runs.configuration import to_json
from tessella.runs.environment import describe_run
from tessella.runs.label_spaces import require_same_classes
from tessella.runs.segmentation import (
    Segmentation,
    build_network,
    evaluation_transform,
    open_split,
    training_transform,
)
from tessella.runs.training_images import balanced_weights
from tessella.runs.views import forward_views, room_for_views
from tessella.training.checkpoint_files import read_checkpoint
from tessella.training.factor_log import FactorLog
from tessella.training.fit import Outcome, fit, require_no_run
from tessella.training.forward import logits_of_images
from tessella.training.losses import SegmentationLoss
from tessella.training.machine import Machine
from tessella.training.mixed import MixedTask
from tessella.training.privacy_log import PrivacyLog
from tessella.training.schedules import adamw, parameter_groups, poly, sgd
from tessella.training.segmentation import SegmentationTask


def train(
    config: Segmentation,
    recipe: str,
    data: Path,
    run: Path,
    *,
    machine: Machine = Machine(),
    resume: bool = False,
    trusted: Sequence[str] = ("tessella",),
) -> Outcome:
    """Train as ``config`` says on the data set at ``data``; checkpoints, logs and configuration go to ``run``.

    trusted: packages whose classes the run of a generator of features may name.

    Raises:
        InputError: missing data, an existing run without ``resume``, a split without labels, NaN loss, a full disk, too
            little memory for the views; see ``Privacy.require``.
    """
    if not resume:
        require_no_run(run)
    torch.manual_seed(config.seed)
    train_set = open_split(config, data, config.train_split)
    val_set = open_split(config, data, config.val_split)
    for split, dataset in ((config.train_split, train_set), (config.val_split, val_set)):
        if dataset[0].labels is None:
            raise InputError(
                f"{split}: {dataset.ids[0]} has no labels; train and validate on labelled splits"
            )
    if resume:
        begun = read_checkpoint(run / "checkpoints" / "last.ckpt")["tessella"]["classes"]
        require_same_classes(str(data), class_names(train_set.classes), [name for name, _ in begun])
    network = build_network(config, train_set)
    if config.privacy:
        config.privacy.require(config, len(train_set), network.mean.numel(), machine.devices * machine.nodes)
    if config.weights and not resume:
        print(load_weights(network.network, config.weights, strict=False))
    if config.frozen_stages:
        # A network is cut by what its modules do, and for a map that was kept they do nothing.
        kept = (
            config.crop is None
            and not config.jitter
            and not (config.synthetic and config.synthetic.generator)
        )
        freeze_stages(network, config.frozen_stages, run / "features" if kept else None)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = _task(config, network, train_set, resume, trusted)
    content = {
        "recipe": recipe,
        "config": to_json(config),
        "classes": [[name, list(color)] for name, color in train_set.classes],
        "in_channels": int(network.mean.numel()),
    }
    callbacks: list[Callback] = [FactorLog(run / "dilation.json")] if dilation_parameters(network) else []
    if config.privacy:
        callbacks.append(PrivacyLog(run / "privacy.json"))
    less = (
        "--views.recompute true, --frozen_stages, fewer --views.training or a smaller --batch_size takes less"
    )
    with room_for_views(less) if config.views else nullcontext():
        return fit(
            task,
            lambda start, rank, world_size: _training_loader(config, train_set, start, rank, world_size),
            partial(
                evaluation_loader,
                Transformed(val_set, evaluation_transform(config)),
                workers=min(config.workers, 1),
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
            describe=partial(describe_run, run, recipe, data, config),
            callbacks=callbacks,
        )


def _task(
    config: Segmentation,
    network: Normalized,
    train_set: SegmentationDataset,
    resume: bool,
    trusted: Sequence[str],
) -> SegmentationTask:
    loss = partial(
        SegmentationLoss,
        class_weights=balanced_weights(train_set) if config.class_weights == "balanced" else None,
        auxiliary_weight=config.auxiliary_weight,
    )
    of_images = loss(label_smoothing=config.label_smoothing)
    classes = len(train_set.classes)
    arguments = (network, of_images, partial(_optimizer, config), classes, config.seed)
    of_features = config.synthetic if config.synthetic and config.synthetic.generator else None
    if config.privacy is None:
        options: dict[str, Any] = {
            "forward": logits_of_images if config.views is None else forward_views(config.views),
            "keep_statistics": config.keep_statistics
            or (config.views is not None and config.views.keep_statistics)
            or (of_features is not None and of_features.keep_statistics),
            "augment": ISDA(_classifier(network, classes), config.isda) if config.isda else None,
        }
        if config.synthetic is None:
            return SegmentationTask(*arguments, **options)
        # Real images in place of features are a control: they have the loss of the others.
        smoothed = loss(label_smoothing=of_features.label_smoothing) if of_features else of_images
        stream = SampleStream(train_set, _pasted(config, train_set), config.seed)
        extra = config.synthetic.extra(
            network, smoothed, config.batch_size, train_set, stream, resume, trusted
        )
        return MixedTask(*arguments, extra=extra, **options)
    from tessella.training.private import PrivateTask  # needs Opacus

    return PrivateTask(
        *arguments,
        noise=config.privacy.noise,
        clip=config.privacy.clip,
        delta=config.privacy.delta or 1 / len(train_set),
        batch_size=config.batch_size,
        images=len(train_set),
    )


def _classifier(network: Normalized, classes: int) -> nn.Conv2d:
    """The last 1x1 convolution to the classes, but for auxiliary heads'."""
    found = [
        module
        for name, module in network.network.named_modules()
        if isinstance(module, nn.Conv2d)
        and (module.out_channels, module.kernel_size) == (classes, (1, 1))
        and not name.startswith("aux")
    ]
    if not found:
        raise InputError("isda: the network does not end in a 1x1 convolution from features to classes")
    return found[-1]


def _pasted(config: Segmentation, train_set: SegmentationDataset) -> Transform:
    transform = training_transform(config)
    return CopyPaste(transform, train_set, config.copy_paste) if config.copy_paste else transform


def _training_loader(
    config: Segmentation, train_set: SegmentationDataset, start: int, rank: int, world_size: int
) -> DataLoader[Any] | Beside:
    if config.privacy:
        return poisson_loader(
            train_set, training_transform(config), config.batch_size, workers=config.workers
        )
    transform = _pasted(config, train_set)
    options = {
        "seed": config.seed,
        "workers": config.workers,
        "start": start,
        "rank": rank,
        "world_size": world_size,
    }
    loader = training_loader(train_set, transform, config.batch_size, **options)
    if config.synthetic is None:
        return loader
    return config.synthetic.beside(loader, train_set, transform, config.batch_size, **options)


def _optimizer(config: Segmentation, network: nn.Module) -> tuple[Optimizer, LRScheduler]:
    make = sgd if config.optimizer == "sgd" else adamw
    if config.optimizer == "adamw":
        _require_short_steps(network, config.dilation_learning_rate)
    groups = parameter_groups(
        network, config.learning_rate, config.head_factor, config.weight_decay, config.dilation_learning_rate
    )
    optimizer = make(groups)
    return optimizer, poly(optimizer, config.steps, config.power, config.warmup)


def _require_short_steps(network: nn.Module, rate: float) -> None:
    """Raises InputError where steps as long as the rate, as Adam's are, would throw factors from bound to bound."""
    ranges = {
        layer.dilation_range for layer in network.modules() if isinstance(layer, LearnableDilatedConv2d)
    }
    longest = min((high - low for low, high in ranges if high > low), default=math.inf) / 10
    if rate > longest:
        raise InputError(
            f"dilation_learning_rate {rate:g} with adamw, whose steps are as long as the rate: give at most "
            f"{longest:g}, a tenth of the narrowest range (0.02 is a good start), or optimizer sgd"
        )
