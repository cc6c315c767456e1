"""The user's own images in folders by split."""

from functools import partial

from tessella.datasets import SplitFolders
from tessella.networks import DeepLabV3Plus, ResNet
from tessella.runs.segmentation import Segmentation


def folders() -> Segmentation:
    """DeepLab-v3+ with ResNet-50 on your own train/images, train/labels, ... and classes.txt.

    Command: tessella train folders --data MYDATA
    Citation: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018
    """
    return Segmentation(
        network=partial(DeepLabV3Plus, backbone=partial(ResNet, depth=50)),
        dataset=partial(SplitFolders),
        test_split="val",
        crop=(384, 384),
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.01,
        warmup=100,
        steps=5000,
        validate_every=250,
    )


def folders_small() -> Segmentation:
    """The same with ResNet-18 of half width, for a machine without a GPU.

    Command: tessella train folders_small --data MYDATA
    Citation: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018
    """
    return Segmentation(
        network=partial(
            DeepLabV3Plus,
            backbone=partial(ResNet, depth=18, width=32),
            pyramid_channels=96,
            low_level_channels=32,
            decoder_channels=96,
        ),
        dataset=partial(SplitFolders),
        test_split="val",
        crop=(240, 320),
        optimizer="adamw",
        learning_rate=2e-3,
        head_factor=1.0,
        weight_decay=0.02,
        warmup=50,
        ema=0.98,
        steps=2000,
        validate_every=250,
    )
