"""The user's own images in folders by split."""

from dataclasses import replace
from functools import partial

from tessella.datasets import SplitFolders
from tessella.inference import InferencePlan
from tessella.networks import DeepLabV3Plus, ResNet
from tessella.recipes.camvid import camvid
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
    """The network of recipe camvid, which a machine without a GPU can train, on your own folders.

    Command: tessella train folders_small --data MYDATA
    Citation: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018
    """
    return replace(
        camvid(),
        dataset=partial(SplitFolders),
        test_split="val",
        scale=(0.5, 1.5),
        steps=2000,
        validate_every=250,
        inference=InferencePlan(),
    )
