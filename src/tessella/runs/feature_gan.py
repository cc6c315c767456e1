"""A generator of features: its configuration, and loading it with the network that it was trained for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tessella.adversarial import BicycleGAN, CodeEncoder
from tessella.datasets import LabelClass
from tessella.errors import InputError
from tessella.feature_synthesis import (
    FeatureDiscriminator,
    FeatureGenerator,
    Split,
    one_hot_layout,
    split,
)
from tessella.feature_synthesis.split import Side
from tessella.networks.normalized import Normalized
from tessella.runs.asking import fingerprint
from tessella.runs.configuration import from_json, require_least
from tessella.runs.segmentation import Segmentation, bare_network
from tessella.training.checkpoint_files import checkpoint_file, read_checkpoint


@dataclass(frozen=True)
class FeatureGAN:
    """Everything that decides the result of training a generator of features.

    The data set, its splits and the augmentation are those that the network was trained with.

    network: the run or checkpoint of the segmentation network whose features are to be made
    at: layer of it; its features are made of layouts. Empty for the image itself
    side: whether the features are the layer's output, or the input of its last call (before a rectifier)
    halves: a function of yours, of an installed package, from the network to its two halves, in place of at and side
    generator: the class, with its arguments but layout_channels and channels
    discriminator: of which there are two
    encoder: from a feature to the code behind it; its class, with its arguments but channels and those of codes
    layout_stride: 2 shows the generator layouts of half the resolution, as shares of classes; with one block less
    crop: (height, width) of a training crop; none for the network's own
    reconstruction: weight of the L1 distance of standardised features
    kl: weight of the divergence of codes from the standard normal distribution
    latent: weight of the L1 distance of codes found again
    steps: updates of the weights
    batch_size: images of an update
    learning_rate: of Adam; constant for half of the steps, then falling to 0
    ema: decay of a running average of the weights, which is then what is scored and saved; 0 for none
    clip: largest norm of the gradient; 0 for no limit
    validate_every: updates between two scores
    validation_images: that the score is measured on, from the start of the network's validation split; 0 for all
    seed: decides initial weights, order, augmentation and codes
    workers: processes that load data
    """

    network: str = ""
    at: str = "backbone.layer3"
    side: Side = "output"
    halves: Callable[[nn.Module], Split] | None = None
    generator: Callable[..., FeatureGenerator] = FeatureGenerator
    discriminator: Callable[..., FeatureDiscriminator] = FeatureDiscriminator
    encoder: Callable[..., CodeEncoder] = CodeEncoder
    layout_stride: int = 1
    crop: tuple[int, int] | None = None
    reconstruction: float = 10.0
    kl: float = 0.01
    latent: float = 0.5
    steps: int = 3000
    batch_size: int = 8
    learning_rate: float = 2e-4
    ema: float = 0.99
    clip: float = 0.0
    validate_every: int = 500
    validation_images: int = 0
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        from_one = ("layout_stride", "steps", "batch_size", "validate_every")
        from_zero = ("reconstruction", "kl", "latent", "clip", "validation_images", "seed", "workers")
        require_least(self, dict.fromkeys(from_one, 1) | dict.fromkeys(from_zero, 0))
        if not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}: give 0 for none, or less than 1")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}: give more than 0")
        if self.crop and min(self.crop) < 1:
            raise InputError(f"crop is {self.crop}: give a height and a width of 1 or more")


def build_gan(config: FeatureGAN, layout_channels: int, channels: int) -> BicycleGAN:
    """With random weights, for layouts of so many channels and features of so many."""
    generator = config.generator(layout_channels, channels)
    return BicycleGAN(
        generator,
        config.encoder(channels, generator.code_channels, code_stride=generator.code_stride),
        config.discriminator(layout_channels, channels),
        config.discriminator(layout_channels, channels),
        reconstruction=config.reconstruction,
        kl=config.kl,
        latent=config.latent,
    )


def halves_of(config: FeatureGAN, network: nn.Module) -> Split:
    """Of a network that normalises its images itself: layers are named as within it, images come from a file."""
    inside = network.network if isinstance(network, Normalized) else network
    inner = split(inside, config.at, config.side) if config.halves is None else config.halves(inside)
    if not isinstance(network, Normalized):
        return inner
    return Split(lambda images: inner.encode(network.normalize(images)), inner.decode_all)


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator with the network that it makes features for.

    network: normalises its images itself; ``of_network`` is what it was trained by. halves: of it, at the generator's
    layer.
    """

    generator: FeatureGenerator
    network: Normalized
    halves: Split
    config: FeatureGAN
    classes: tuple[LabelClass, ...]
    of_network: Segmentation
    sizes: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def draw(self, labels: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """A code for each of the label maps [B, H, W]."""
        return self.generator.draw(len(labels), self._size_of(labels), chance)

    @torch.no_grad()
    def make(self, labels: Tensor, codes: Tensor) -> Tensor:
        """Labels [B, H, W] and their codes to features [B, F, h, w], as high and wide as the network's own.

        Raises InputError for a label that the generator does not know, and layouts that are too small for it.
        """
        self.generator.to(labels.device)
        layouts = one_hot_layout(labels, len(self.classes), self.config.layout_stride)
        layouts = layouts.contiguous(memory_format=torch.channels_last)
        size = self._size_of(labels)
        try:
            features: Tensor = self.generator(layouts, codes.to(labels.device), size)
        except ValueError as error:  # of a normalisation for which one place is left
            height, width = labels.shape[1:]
            raise InputError(f"a layout of {width}x{height} is too small for the generator") from error
        return features

    def _size_of(self, labels: Tensor) -> tuple[int, int]:
        """Of the features of an image of that size; the network itself says it."""
        height, width = labels.shape[1], labels.shape[2]
        if (height, width) not in self.sizes:
            self.network.to(labels.device)
            image = torch.zeros(1, self.network.mean.numel(), height, width, device=labels.device)
            features = self.halves.encode(image)
            self.sizes[height, width] = (features.shape[-2], features.shape[-1])
        return self.sizes[height, width]

    def halves_of(self, network: nn.Module) -> Split:
        """Another network's halves at the same layer: one that was trained on from this one, with the same layers."""
        return halves_of(self.config, network)

    def require_for(self, network: nn.Module, what: str) -> None:
        """Raises InputError unless ``network`` is the one that the generator was trained for."""
        # Without the constants that images are normalised by: an average over steps rounds them.
        inner = network.network if isinstance(network, Normalized) else network
        if fingerprint(inner) != fingerprint(self.network.network):
            raise InputError(f"{what}: the generator was trained for another network; train one for this")


def load_generator(source: str, trusted: Sequence[str] = ("tessella",)) -> TrainedGenerator:
    """From a run's folder or a checkpoint of ``train_generator``; nothing in it is executed.

    trusted: packages whose classes it may name, where the network, its data set or its halves are of yours.

    Raises InputError for a checkpoint of anything else.
    """
    path = checkpoint_file(Path(source))
    checkpoint = read_checkpoint(path)
    content = checkpoint["tessella"]
    config = from_json(content["config"], trusted)
    if not isinstance(config, FeatureGAN):
        other = (
            "a segmentation network"
            if isinstance(config, Segmentation)
            else "a generator or a judge of images"
        )
        raise InputError(f"{path} holds {other}, not a generator of features")
    of_network: Segmentation = from_json(content["network"], trusted)
    classes = tuple(LabelClass(name, tuple(color)) for name, color in content["classes"])
    channels = content["in_channels"]
    network = Normalized(bare_network(of_network, len(classes), channels), [0.0] * channels, [1.0] * channels)
    network.load_state_dict(content["weights"])
    gan = build_gan(config, len(classes) + 1, content["channels"])
    gan.load_state_dict({k.removeprefix("gan."): v for k, v in checkpoint["state_dict"].items()})
    for module in (network, gan):
        module.requires_grad_(False).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    halves = halves_of(config, network)
    return TrainedGenerator(gan.generator, network, halves, config, classes, of_network)
