"""The configurations of generators of images and of what judges them; building and loading what they describe."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tessella.datasets.pairs import PairedDataset
from tessella.errors import InputError
from tessella.image_generation import (
    ConditionEstimator,
    Embedding,
    ImageBicycleGAN,
    NeighboursLoss,
    PerceptualDistance,
    Refinement,
    Shared,
    Translator,
    VGGFeatures,
)
from tessella.image_generation.judges import Kind
from tessella.image_generation.matching import Assignment
from tessella.networks import VGG16, VGG19
from tessella.networks.weight_files import read_weights
from tessella.networks.weights import load_weights
from tessella.runs.configuration import from_json, require_least
from tessella.training.checkpoint_files import read_checkpoint
from tessella.training.learners import Judge, Regression, Translation


@dataclass(frozen=True)
class Images:
    """What every training on pairs of a condition and an image shares.

    dataset: class with its arguments but root and split
    train_split: what is trained on
    val_split: what is validated on
    validation_images: from the start of that split; 0 for all
    mirror: mirror images and conditions at random
    steps: updates of the weights
    batch_size: conditions of an update
    learning_rate: of Adam; falls to 0 by the "poly" rate of power 0.9
    ema: decay of a running average of the weights, which is then what is scored and saved; 0 for none
    validate_every: updates between two validations
    seed: decides initial weights, codes, order and neighbours
    workers: processes that load data
    """

    dataset: Callable[..., PairedDataset]
    train_split: str = "train"
    val_split: str = "test"
    validation_images: int = 64
    mirror: bool = True
    steps: int = 3000
    batch_size: int = 4
    learning_rate: float = 1e-4
    ema: float = 0.0
    validate_every: int = 500
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Raises InputError for a field that no training can be done with."""
        from_one = ("steps", "batch_size", "validate_every")
        require_least(
            self, dict.fromkeys(from_one, 1) | dict.fromkeys(("validation_images", "seed", "workers"), 0)
        )
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}: give a finite one above 0")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}: a decay lies between 0, for no average, and 1")


@dataclass(frozen=True)
class ImageRegression(Images):
    """Everything that decides the result of training a generator by refinement.

    generator: ``Shared``, ``Separate`` or ``LateSplit``, with its arguments but condition_channels
    perceptual: what images are compared by: the run of a judge (tessella train helen_embedding), or a file of
        weights of VGG-16 or VGG-19 in torchvision's names
    weights: of the distances of images themselves and of five maps; none to let each count alike. The authors' are 1,
        1, 1/2.3, 1/1.8, 1/2.8, 12.5, for colours from 0 to 255 and their VGG
    assignment: of neighbours to branches, greedy as in the thesis, or hungarian
    neighbours: images of near conditions that train further branches; 0 for the best-neighbour loss alone
    candidates: of the nearest so many they are drawn
    quantile: and no further than this share of all distances between two conditions
    warm_up: for so many steps the branches take turns
    neighbours_from: step from which neighbours are used
    """

    generator: Callable[..., Refinement] = Shared
    perceptual: str = ""
    weights: tuple[float, ...] = ()
    assignment: Assignment = "greedy"
    neighbours: int = 0
    candidates: int = 50
    quantile: float = 0.1
    warm_up: int = 300
    neighbours_from: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        require_least(self, {"neighbours": 0, "warm_up": 0, "neighbours_from": 0})


@dataclass(frozen=True)
class ImageTranslation(Images):
    """Everything that decides the result of training an adversarial generator.

    gan: ``Pix2Pix`` or ``ImageBicycleGAN``, with its arguments but condition_channels
    """

    gan: Callable[..., Any] = ImageBicycleGAN
    learning_rate: float = 2e-4


@dataclass(frozen=True)
class ImageJudge(Images):
    """Everything that decides the result of training a judge of images.

    kind: landmarks or maps to estimate conditions from images, embedding to tell images apart
    width: channels of the first stage of its VGG-16; 64 as published
    """

    kind: Kind = "maps"
    width: int = 16
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "embedding" and self.batch_size < 2:
            raise InputError(
                "batch_size is 1: an embedding tells the images of a batch apart; give at least 2"
            )


def build(config: Images, condition_channels: int, trusted: Sequence[str] = ("tessella",)) -> Any:
    """With random weights: a ``Regression``, a ``Translation`` or a ``Judge``. trusted: see ``load_judge``."""
    if isinstance(config, ImageRegression):
        generator = config.generator(condition_channels)
        if config.neighbours >= generator.branches:
            raise InputError(
                f"neighbours is {config.neighbours} for {generator.branches} branches: each image needs a branch of "
                "its own; give fewer neighbours"
            )
        weights = config.weights or PerceptualDistance.AUTHORS
        distance = PerceptualDistance(perceptual_features(config, trusted), weights)
        loss = NeighboursLoss(distance, config.assignment)
        return Regression(generator, loss, warm_up=config.warm_up, neighbours_from=config.neighbours_from)
    if isinstance(config, ImageTranslation):
        return Translation(config.gan(condition_channels))
    assert isinstance(config, ImageJudge)
    return Judge(build_judge(config, condition_channels))


def build_judge(config: ImageJudge, condition_channels: int) -> ConditionEstimator | Embedding:
    """With random weights."""
    if config.kind == "embedding":
        return Embedding(width=config.width)
    return ConditionEstimator(condition_channels, kind=config.kind, width=config.width)


def perceptual_features(config: ImageRegression, trusted: Sequence[str] = ("tessella",)) -> VGGFeatures:
    """Of the judge or the weights that ``config`` names. Raises InputError where it names none."""
    if not config.perceptual:
        raise InputError(
            "give --perceptual RUN, what images are compared by: train it with tessella train objects_embedding (or "
            "helen_embedding) on the same data, or name a file of VGG-16 or VGG-19 weights"
        )
    path = Path(config.perceptual)
    if path.is_dir() or path.suffix == ".ckpt":
        return load_judge(config.perceptual, trusted).features
    is_deeper = any(name.endswith("features.34.weight") for name in read_weights(config.perceptual))
    network = VGG19() if is_deeper else VGG16()
    load_weights(network, config.perceptual, strict=False)
    return VGGFeatures(network.features)


def load_judge(source: str, trusted: Sequence[str] = ("tessella",)) -> ConditionEstimator | Embedding:
    """From a run's folder or a checkpoint of an ``ImageJudge``; nothing in it is executed.

    trusted: packages whose classes (a data set of yours) its configuration may name.
    """
    config, content, state = _read(source, "best.ckpt", trusted)
    if not isinstance(config, ImageJudge):
        raise InputError(
            f"{source} holds no judge of images: train one, as with tessella train helen_landmarks"
        )
    judge = build_judge(config, content["condition_channels"])
    if isinstance(judge, ConditionEstimator):
        judge.map_kind = map_kind(config.dataset)
    judge.load_state_dict(_under("model.network.", state))
    return judge.requires_grad_(False).eval()


def map_kind(dataset: Callable[..., PairedDataset]) -> str | None:
    """Of a data set with its arguments but root and split: ``edges``, ``labels`` or ``normals``, where it says so."""
    condition = signature(dataset).parameters.get("condition")
    kinds = {"edges": "edges", "labels": "labels", "normals": "normals", "trimap": "labels"}
    return None if condition is None else kinds.get(str(condition.default))


@dataclass(frozen=True)
class TrainedImages:
    """A generator of images, with what it was trained by.

    generator: has ``encode``, ``decode`` and ``draw``.
    """

    generator: Refinement | Translator
    config: ImageRegression | ImageTranslation
    condition_channels: int


def load_images(source: str, trusted: Sequence[str] = ("tessella",)) -> TrainedImages:
    """From a run's folder or a checkpoint of ``train_images``; nothing in it is executed.

    Of a run the last checkpoint, not the best: the distance to a validation image alone says nothing of variety.
    trusted: see ``load_judge``.
    Raises InputError for a checkpoint of anything else.
    """
    config, content, state = _read(source, "last.ckpt", trusted)
    if not isinstance(config, ImageRegression | ImageTranslation):
        what = " but a judge, which --judges takes" if isinstance(config, ImageJudge) else ""
        raise InputError(
            f"{source} holds no generator of images{what}: train one, as with tessella train helen_images"
        )
    channels = content["condition_channels"]
    generator: Any
    if isinstance(config, ImageRegression):
        generator, prefix = config.generator(channels), "model.generator."
    else:
        generator, prefix = config.gan(channels).generator, "model.gan.generator."
    generator.load_state_dict(_under(prefix, state))
    generator.requires_grad_(False).to(memory_format=torch.channels_last).eval()
    return TrainedImages(generator, config, channels)


def holds_images(source: str, trusted: Sequence[str] = ("tessella",)) -> bool:
    """Whether a run or checkpoint is one of ``train_images``, a judge included."""
    content = read_checkpoint(_file(source, "last.ckpt"), mapped=True)["tessella"]
    return isinstance(from_json(content["config"], trusted), Images)


def _read(source: str, name: str, trusted: Sequence[str]) -> tuple[Any, dict[str, Any], dict[str, Tensor]]:
    checkpoint = read_checkpoint(_file(source, name))
    content = checkpoint["tessella"]
    return from_json(content["config"], trusted), content, checkpoint["state_dict"]


def _file(source: str, name: str) -> Path:
    path = Path(source)
    return path / "checkpoints" / name if path.is_dir() else path


def _under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
