"""Learned dilation: tables 4.2 to 4.5 of the thesis, and small networks for two CPU cores.

``--dilation_learning_rate 0`` trains the fixed network of the same table: the factors stay at the layers' own. Batch,
crop, rate and steps are those of table 4.1, the weight decay is that of section 4.2.4.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from tessella.dilation import LearnableDilation
from tessella.inference import InferencePlan
from tessella.networks import DeepLabV2, ResNet
from tessella.recipes.camvid import camvid, camvid_deeplab_v2, camvid_pspnet
from tessella.recipes.cityscapes import cityscapes_deeplab_v2, cityscapes_largefov, cityscapes_pspnet
from tessella.recipes.streets import streets
from tessella.runs.segmentation import Segmentation

Ranges = tuple[tuple[int, float, float], ...]

BACKBONE: Ranges = ((2, 1, 4), (4, 1, 8))
CAMVID: dict[str, Any] = {
    "train_split": "train",  # 367 images: val chooses the checkpoint
    "resize": (480, 640),
    "batch_size": 10,
    "weight_decay": 5e-4,
}
"""What tables 4.4 and 4.5 have in common (sections 2.1.6 and 4.2.4)."""

ASPP: Ranges = ((6, 1, 11), (12, 7, 17), (18, 13, 23), (24, 19, 29))


def cityscapes_largefov_dilation() -> Segmentation:
    """DeepLab-LargeFOV, the dilation of conv5 and fc6 learned; mirrored but not scaled, as the authors' demo does.

    Literature: 63.31 mean IoU on val, 61.44 with fixed factors (table 4.2)
    Command: tessella train cityscapes_largefov_dilation --data CITYSCAPES --weights VGG16.pth
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    config = replace(cityscapes_largefov(), scale=(1.0, 1.0), jitter=0.0)
    return _learned(config, ((2, 1, 4), (12, 4, 20)), rate=200.0)


def cityscapes_deeplab_v2_dilation() -> Segmentation:
    """DeepLab-v2 with ResNet-101, the dilation of the backbone and of ASPP learned.

    Literature: 71.1 mean IoU on val, 70.9 with fixed factors (table 4.3)
    Command: tessella train cityscapes_deeplab_v2_dilation --data CITYSCAPES --weights RESNET101.pth
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    return _learned(cityscapes_deeplab_v2(), BACKBONE + ASPP, rate=50.0)


def cityscapes_pspnet_dilation() -> Segmentation:
    """PSPNet-101, the dilation of its last two stages learned, from the weights of a trained PSPNet.

    Crops are smaller than that network's were (table 4.1); it is evaluated as it was before, in windows of 713.

    Literature: 79.9 mean IoU on val, 79.4 with fixed factors (table 4.3)
    Command: tessella train cityscapes_pspnet_dilation --data CITYSCAPES --weights PSPNET101.pth --devices 4
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    config = replace(
        cityscapes_pspnet(), steps=20_000, learning_rate=1e-4, crop=(561, 561), weight_decay=5e-4
    )
    return _learned(config, BACKBONE, rate=20.0)


def camvid_deeplab_v2_dilation() -> Segmentation:
    """DeepLab-v2 with ResNet-101 on CamVid, the dilation of the backbone and of ASPP learned.

    Literature: 66.1 mean IoU on test, 65.2 with fixed factors (tables 4.4 and 4.5; images brought to 640x480)
    Command: tessella train camvid_deeplab_v2_dilation --data CAMVID --weights RESNET101.pth
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    config = replace(camvid_deeplab_v2(), **CAMVID, rotation=0.0, steps=15_000)
    return _learned(config, BACKBONE + ASPP, rate=50.0)


def camvid_pspnet_dilation() -> Segmentation:
    """PSPNet-101 on CamVid, the dilation of its last two stages learned.

    Literature: 73.9 mean IoU on test, 73.4 with fixed factors (tables 4.4 and 4.5; images brought to 640x480)
    Command: tessella train camvid_pspnet_dilation --data CAMVID --weights PSPNET101.pth
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    config = replace(camvid_pspnet(), **CAMVID, steps=10_000, learning_rate=1e-4)
    return _learned(config, BACKBONE, rate=20.0)


def camvid_dilation() -> Segmentation:
    """A small ResNet-10 under one field of view, its dilation learned; for two CPU cores.

    Command: tessella train camvid_dilation --data CAMVID
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    return _small(camvid())


def streets_dilation() -> Segmentation:
    """The same on rendered streets.

    Command: tessella scenes render street --out streets && tessella train streets_dilation --data streets
    Citation: He et al., Learning dilation factors for semantic segmentation of street scenes, GCPR 2017
    """
    return _small(streets())


def _small(config: Segmentation) -> Segmentation:
    """One classifier, as DeepLab-LargeFOV has, and few layers: what the network sees is up to its dilation."""
    network = partial(DeepLabV2, backbone=partial(ResNet, depth=10, width=16), rates=(6,))
    config = replace(
        config,
        network=network,
        crop=(240, 320),
        scale=(0.6, 1.4),
        batch_size=4,
        learning_rate=3e-3,
        steps=800,
        validate_every=800,
        inference=InferencePlan(flip=True),
    )
    return _learned(config, (*BACKBONE, (6, 1, 20)), rate=0.1)


def _learned(config: Segmentation, ranges: Ranges, rate: float) -> Segmentation:
    """``config`` with dilation learned within ``ranges`` at ``rate``.

    The authors' rates are 200,000 times the base rate of plain gradient descent.
    """
    network = partial(LearnableDilation, network=config.network, ranges=ranges)
    return replace(config, network=network, dilation_learning_rate=rate)
