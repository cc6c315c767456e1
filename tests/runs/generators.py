"""A network that knows blocks of colour, and a generator of its features."""

from dataclasses import replace
from functools import partial

from tests.runs.blocks import MACHINE, train_on_blocks, write_blocks

from tessella.feature_synthesis import FeatureDiscriminator, FeatureGenerator
from tessella.runs.feature_gan import FeatureGAN
from tessella.runs.feature_training import train_generator

SMALL = FeatureGAN(
    generator=partial(FeatureGenerator, reduction_width=8, widths=(32, 32)),
    discriminator=partial(FeatureDiscriminator, reduction_width=4, widths=(16, 16)),
    steps=240,  # 120 end anywhere between 0.56 and 0.76 of mean IoU, by seed and CPU; 240 above 0.73
    batch_size=4,
    learning_rate=2e-3,
    ema=0.9,
    validate_every=120,
    workers=0,
)


def train_on_features(folder):
    """Data, a network that knows it, and a generator of its features."""
    write_blocks(folder / "data")
    train_on_blocks(folder / "data", folder / "network", ema=0.9)
    config = replace(SMALL, network=str(folder / "network"))
    train_generator(config, "features", folder / "data", folder / "generator", machine=MACHINE)
    return folder
