"""Cityscapes, 19 classes: the baselines of tables 4.2, 4.3 and 6.1 of the thesis, and the larger networks since."""

from dataclasses import replace
from functools import partial

from tessella.datasets import Cityscapes
from tessella.inference import InferencePlan, Windows
from tessella.networks import (
    DPC,
    DeepLabLargeFOV,
    DeepLabV2,
    DeepLabV3Plus,
    PSPNet,
    ResNet,
    UPerNet,
    Xception,
)
from tessella.runs.segmentation import Segmentation


def cityscapes_pspnet() -> Segmentation:
    """PSPNet-101, 713x713 crops.

    Literature: 79.4 mean IoU on val, single scale (table 4.3); 79.73 (table 6.1)
    Command: tessella train cityscapes_pspnet --data CITYSCAPES --weights RESNET101.pth --devices 4
    Citation: Zhao et al., Pyramid scene parsing network, CVPR 2017
    """
    return Segmentation(
        network=partial(PSPNet, backbone=partial(ResNet, depth=101, deep_stem=True)),
        dataset=partial(Cityscapes),
        test_split="val",
        crop=(713, 713),
        rotation=10.0,
        steps=90_000,
        batch_size=4,
        learning_rate=0.01,
        validate_every=5000,
        workers=4,
        inference=InferencePlan(windows=Windows(713, 713)),
    )


def cityscapes_deeplab_v2() -> Segmentation:
    """DeepLab-v2 with ResNet-101, 321x321 crops.

    Literature: 70.9 mean IoU on val (table 4.3)
    Command: tessella train cityscapes_deeplab_v2 --data CITYSCAPES --weights RESNET101.pth
    Citation: Chen et al., DeepLab, TPAMI 2018
    """
    return replace(
        cityscapes_pspnet(),
        network=partial(DeepLabV2),
        crop=(321, 321),
        rotation=0.0,
        steps=20_000,
        batch_size=10,
        learning_rate=2.5e-4,
        weight_decay=5e-4,
        inference=InferencePlan(),
    )


def cityscapes_largefov() -> Segmentation:
    """DeepLab-LargeFOV with VGG-16, dilation 2 in conv5 and 12 in fc6.

    Literature: 61.44 mean IoU on val (table 4.2)
    Command: tessella train cityscapes_largefov --data CITYSCAPES --weights VGG16.pth
    Citation: Chen et al., Semantic image segmentation with deep convolutional nets and fully connected CRFs, ICLR 2015
    """
    return replace(cityscapes_deeplab_v2(), network=partial(DeepLabLargeFOV), learning_rate=1e-3)


def cityscapes_deeplab_v3plus() -> Segmentation:
    """DeepLab-v3+ with Xception-65, 769x769 crops.

    Literature: 78.8 mean IoU on val, single scale (Chen et al., table 7)
    Command: tessella train cityscapes_deeplab_v3plus --data CITYSCAPES --weights XCEPTION65.pth --devices 4
    Citation: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018
    """
    return replace(
        cityscapes_pspnet(),
        network=partial(DeepLabV3Plus, backbone=partial(Xception, depth=65)),
        crop=(769, 769),
        rotation=0.0,
        inference=InferencePlan(),
    )


def cityscapes_dpc() -> Segmentation:
    """Dense prediction cell with Xception-71, 769x769 crops.

    Literature: 80.85 mean IoU on val, with pretraining on COCO (Chen et al., table 2)
    Command: tessella train cityscapes_dpc --data CITYSCAPES --weights XCEPTION71.pth --devices 4
    Citation: Chen et al., Searching for efficient multi-scale architectures for dense image prediction, NeurIPS 2018
    """
    return replace(cityscapes_deeplab_v3plus(), network=partial(DPC, backbone=partial(Xception, depth=71)))


def cityscapes_upernet() -> Segmentation:
    """UPerNet with ResNet-50, 713x713 crops.

    Command: tessella train cityscapes_upernet --data CITYSCAPES --weights RESNET50.pth
    Citation: Xiao et al., Unified perceptual parsing for scene understanding, ECCV 2018
    """
    return replace(cityscapes_pspnet(), network=partial(UPerNet, backbone=partial(ResNet, depth=50)))
