"""CamVid, 11 classes (Brostow et al. 2009, split of Badrinarayanan et al. 2017)."""

from dataclasses import replace
from functools import partial

from tessella.datasets.camvid import CamVid
from tessella.datasets.cityscapes import Cityscapes
from tessella.inference import InferencePlan
from tessella.networks import DeepLabV2, DeepLabV3Plus, PSPNet, ResNet
from tessella.runs.segmentation import Segmentation


def camvid() -> Segmentation:
    """A small DeepLab-v3+ from scratch, sized for two CPU cores.

    Measured: 49.1 mean IoU on test after 25.4 minutes on two cores in fp32; 50.6 after 61.5 minutes (5400 steps)
    Command: tessella train camvid --data CAMVID
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
        dataset=partial(CamVid),
        crop=(180, 240),
        scale=(0.4, 1.0),
        jitter=0.3,
        optimizer="adamw",
        learning_rate=3e-3,
        head_factor=1.0,
        weight_decay=0.02,
        warmup=50,
        batch_size=8,
        class_weights="balanced",
        ema=0.99,
        steps=2350,
        validate_every=1175,
        workers=1,
        inference=InferencePlan(scales=(0.5, 0.75, 1.0), flip=True),
    )


def camvid_game() -> Segmentation:
    """A small PSPNet-18 on half-size images, for the membership game: many of them in an hour on two CPU cores.

    Command: tessella audit game camvid_game --data CAMVID --out game --processes 2
    Citation: He et al., Segmentations-Leak: membership inference attacks and defenses in semantic image segmentation,
        ECCV 2020
    """
    return replace(
        camvid(),
        network=partial(
            PSPNet,
            backbone=partial(ResNet, depth=18, width=32),
            pyramid_channels=32,
            head_channels=96,
            auxiliary_channels=0,
            dropout=0.1,
        ),
        resize=(180, 240),
        crop=(120, 160),
        scale=(0.75, 1.25),
        jitter=0.2,
        steps=1500,
        validate_every=500,
        inference=InferencePlan(),
    )


def camvid_stranger() -> Segmentation:
    """A DeepLab-v3+ on rendered streets with CamVid's classes, for who attacks a PSPNet on CamVid and has neither.

    Command: tessella train camvid_stranger --data STREETS
    Citation: He et al., Segmentations-Leak: membership inference attacks and defenses in semantic image segmentation,
        ECCV 2020
    """
    return replace(
        camvid_game(),
        network=camvid().network,
        dataset=partial(Cityscapes, classes=11),
        test_split="val",
    )


def camvid_pspnet() -> Segmentation:
    """PSPNet-101 at 473x473 crops, the baseline of table 4.4 of the thesis.

    Literature: 73.4 mean IoU with ImageNet weights and 640x480 images
    Command: tessella train camvid_pspnet --data CAMVID --weights RESNET101.pth
    Citation: Zhao et al., Pyramid scene parsing network, CVPR 2017
    """
    return Segmentation(
        network=partial(PSPNet, backbone=partial(ResNet, depth=101, deep_stem=True)),
        dataset=partial(CamVid),
        train_split="train+val",
        crop=(473, 473),
        rotation=10.0,
        steps=20_000,
        batch_size=16,
        learning_rate=1e-3,
    )


def camvid_deeplab_v2() -> Segmentation:
    """DeepLab-v2 with ResNet-101, the other baseline of table 4.4 of the thesis.

    Literature: 65.2 mean IoU with ImageNet weights and 640x480 images
    Command: tessella train camvid_deeplab_v2 --data CAMVID --weights RESNET101.pth
    Citation: Chen et al., DeepLab, TPAMI 2018
    """
    return replace(
        camvid_pspnet(), network=partial(DeepLabV2), crop=(321, 321), learning_rate=2.5e-4, batch_size=10
    )


def camvid_deeplab_v3plus() -> Segmentation:
    """DeepLab-v3+ with ResNet-50 on whole images, for one GPU.

    Command: tessella train camvid_deeplab_v3plus --data CAMVID --weights RESNET50.pth
    Citation: Chen et al., Encoder-decoder with atrous separable convolution, ECCV 2018
    """
    return replace(
        camvid_pspnet(),
        network=partial(DeepLabV3Plus, backbone=partial(ResNet, depth=50)),
        train_split="train",
        crop=(360, 480),
    )
