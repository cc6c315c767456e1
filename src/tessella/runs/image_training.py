"""Training a generator of images, or a judge of them, as its configuration says."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Subset

from tessella.datasets.loading import SampleStream, stream_loader
from tessella.datasets.pairs import Pair, PairedDataset, own_image
from tessella.errors import InputError
from tessella.image_generation import Neighbours
from tessella.image_generation.neighbours import color_histogram
from tessella.image_generation.stream import Draw, Example, Numbered, gather
from tessella.runs.configuration import to_json
from tessella.runs.environment import describe_run
from tessella.runs.images import ImageJudge, ImageRegression, Images, ImageTranslation, build
from tessella.training.fit import Outcome, fit, require_no_run
from tessella.training.images import ImageTask
from tessella.training.machine import Machine
from tessella.training.schedules import poly


def train_images(
    config: Images,
    recipe: str,
    data: Path,
    run: Path,
    *,
    machine: Machine = Machine(),
    resume: bool = False,
    trusted: Sequence[str] = ("tessella",),
) -> Outcome:
    """Train what ``config`` describes on the pairs at ``data``.

    trusted: packages whose classes the run of ``config.perceptual`` may name.

    Raises:
        InputError: nothing to compare images by; an existing run without ``resume``; NaN loss; more neighbours than
            branches; neighbours, and no condition has any; a judge of landmarks for conditions without.
    """
    if not resume:
        require_no_run(run)
    torch.manual_seed(config.seed)
    train_set, val_set = (config.dataset(data, split) for split in (config.train_split, config.val_split))
    channels = train_set.condition_channels
    if isinstance(config, ImageJudge) and config.kind == "landmarks" and train_set[0].landmarks is None:
        raise InputError(f"kind is landmarks, but {train_set.ids[0]} has none: give maps or embedding")
    draw = _draw(config, train_set)
    stream: Any = SampleStream(Numbered(train_set), draw, config.seed)  # type: ignore[arg-type]

    def batches(start: int, rank: int, world_size: int) -> DataLoader[Any]:
        return stream_loader(
            stream,
            config.batch_size,
            workers=config.workers,
            start=start,
            rank=rank,
            world_size=world_size,
            gather=gather,
        )

    model = build(config, channels, trusted)
    if isinstance(config, ImageRegression) and not config.weights and not resume:
        first = [stream[place] for place in range(min(len(train_set), 64))]
        model.loss.distance.balance(gather(first)["targets"][:, 0].float() / 255)
    number = min(config.validation_images or len(val_set), len(val_set))
    return fit(
        ImageTask(
            model.to(memory_format=torch.channels_last),
            partial(_adam, config),
            config.seed,
        ),
        batches,
        lambda rank, world_size: _in_order(val_set, range(rank, number, world_size)),
        run,
        steps=config.steps,
        validate_every=config.validate_every,
        ema=config.ema,
        machine=machine,
        resume=resume,
        content={"recipe": recipe, "config": to_json(config), "condition_channels": channels},
        describe=partial(describe_run, run, recipe, data, config),
        score="val_score",
    )


def _draw(config: Images, train_set: PairedDataset) -> Draw:
    """With neighbours, reads every pair once, and keeps the images."""
    mirror = train_set.mirror if config.mirror else None
    if not isinstance(config, ImageRegression) or not config.neighbours:
        return Draw(mirror)
    pairs = (train_set[index] for index in range(len(train_set)))
    places, images = zip(*((pair.place, own_image(pair)) for pair in pairs), strict=True)
    histograms = np.stack([color_histogram(image) for image in images])
    neighbours = Neighbours(
        np.stack(places), histograms, config.neighbours, config.candidates, config.quantile
    )
    if not any(len(near) for near in neighbours.near):
        raise InputError(
            f"neighbours is {config.neighbours}, but none of {len(images)} conditions has one: give more images, or a "
            "larger quantile"
        )
    return Draw(mirror, neighbours, images)


def _adam(config: Images, parameters: Any) -> tuple[Optimizer, LRScheduler]:
    betas = (0.5, 0.999) if isinstance(config, ImageTranslation) else (0.9, 0.999)
    optimizer = torch.optim.Adam(parameters, config.learning_rate, betas=betas, fused=True)
    return optimizer, poly(optimizer, config.steps)


def _in_order(dataset: PairedDataset, places: range) -> DataLoader[Any]:
    """Each pair once; several together, since an embedding is asked to tell the images of a batch apart."""

    def together(pairs: Sequence[Pair]) -> Any:
        return gather([Example(pair.condition, [own_image(pair)]) for pair in pairs])

    return DataLoader(Subset(dataset, places), batch_size=16, collate_fn=together)  # type: ignore[arg-type]
