"""Training a generator of features from its configuration."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from tessella.adversarial import BicycleGAN
from tessella.datasets import class_names
from tessella.datasets.loading import Batch, Transformed, evaluation_loader, training_loader
from tessella.errors import InputError
from tessella.feature_synthesis import Split, one_hot_layout
from tessella.runs.configuration import to_json
from tessella.runs.environment import describe_run
from tessella.runs.feature_gan import FeatureGAN, build_gan, halves_of, load_generator
from tessella.runs.model import Model, load_model
from tessella.runs.segmentation import evaluation_transform, open_split, training_transform
from tessella.training.feature_gan import FeatureGanTask, measure_channels
from tessella.training.fit import Outcome, fit, require_no_run
from tessella.training.machine import Machine


def train_generator(
    config: FeatureGAN,
    recipe: str,
    data: Path,
    run: Path,
    *,
    machine: Machine = Machine(),
    resume: bool = False,
    trusted: Sequence[str] = ("tessella",),
) -> Outcome:
    """Train a generator for the network that ``config`` names, on the data set at ``data``.

    trusted: packages whose classes the network's checkpoint may name.

    Raises:
        InputError: no network named, or none that was trained here; a layer that cannot be cut at; an existing run
            without ``resume``; NaN loss.
    """
    if not resume:
        require_no_run(run)
    torch.manual_seed(config.seed)
    model = _require_trained_here(config.network, trusted)
    if resume:
        load_generator(str(run / "checkpoints" / "last.ckpt"), trusted).require_for(
            model.network, f"--network {config.network}"
        )
    config = replace(config, network=str(Path(config.network).resolve()))
    assert model.config is not None
    assert model.classes is not None
    of_network = replace(model.config, crop=config.crop or model.config.crop, views=None)
    train_set = open_split(of_network, data, of_network.train_split)
    if class_names(train_set.classes) != class_names(model.classes):
        raise InputError(f"{data} has other classes than {config.network} was trained on")
    val_set = open_split(of_network, data, of_network.val_split)
    halves = halves_of(config, model.network)
    transform = training_transform(of_network)

    def batches(start: int, rank: int, world_size: int, workers: int = config.workers) -> Any:
        return training_loader(
            train_set,
            transform,
            config.batch_size,
            seed=config.seed,
            workers=workers,
            start=start,
            rank=rank,
            world_size=world_size,
        )

    first = islice(batches(0, 0, 1, workers=0), 1 if resume else 16)
    mean, std, least = measure_channels(halves.encode, (batch["image"] for batch in first))
    gan = build_gan(config, len(train_set.classes) + 1, len(mean))
    gan.generator.mean.copy_(mean)
    gan.generator.std.copy_(std)
    if least >= 0:  # behind a rectifier
        gan.generator.lowest.zero_()
    if not resume:
        first_batch = next(iter(batches(0, 0, 1, workers=0)))
        _advise(gan, halves, first_batch, len(train_set.classes), config.layout_stride)
    content = {
        "recipe": recipe,
        "config": to_json(config),
        "classes": [[name, list(color)] for name, color in train_set.classes],
        "channels": len(mean),
        "in_channels": model.channels,
        "network": to_json(model.config),
        "weights": model.network.state_dict(),
    }
    shown = range(min(config.validation_images or len(val_set), len(val_set)))
    return fit(
        FeatureGanTask(
            gan.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            model.network,
            halves,
            len(train_set.classes),
            layout_stride=config.layout_stride,
            learning_rate=config.learning_rate,
            steps=config.steps,
            seed=config.seed,
        ),
        batches,
        partial(
            evaluation_loader,
            torch.utils.data.Subset(Transformed(val_set, evaluation_transform(of_network)), shown),  # type: ignore[arg-type]
            workers=min(config.workers, 1),
        ),
        run,
        steps=config.steps,
        validate_every=config.validate_every,
        ema=config.ema,
        clip=config.clip,
        machine=machine,
        resume=resume,
        content=content,
        describe=partial(describe_run, run, recipe, data, config),
    )


@torch.no_grad()
def _advise(gan: BicycleGAN, halves: Split, batch: Batch, classes: int, layout_stride: int) -> None:
    """Says where layouts are reduced to less than the features' resolution: what is thin is lost on the way."""
    layouts = one_hot_layout(batch["labels"][:1], classes, layout_stride)
    size = halves.encode(batch["image"][:1]).shape[-2:]
    for name, part in {"generator": gan.generator, "discriminator": gan.discriminators[0]}.items():
        seen = part.encode_condition(layouts).shape[-2:]
        if seen[0] < size[0] or seen[1] < size[1]:
            print(
                f"{name}: layouts are reduced to {seen[1]}x{seen[0]}, features are {size[1]}x{size[0]}; give "
                f"--{name}.blocks one less to lose nothing on the way"
            )


def _require_trained_here(source: str, trusted: Sequence[str]) -> Model:
    """Raises InputError where ``source`` is empty, or no run or checkpoint of a segmentation network."""
    if not source:
        raise InputError("give --network RUN, the run or checkpoint of a segmentation network")
    model = load_model(source, trusted)
    if model.config is None:
        raise InputError(f"--network {source}: give a run or checkpoint of tessella train")
    return model
