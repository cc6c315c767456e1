"""ADE20K, 150 classes: the baseline of table 6.5 of the thesis."""

from functools import partial

from tessella.datasets import ADE20K
from tessella.networks import PSPNet, ResNet
from tessella.runs.segmentation import Segmentation


def ade20k_pspnet() -> Segmentation:
    """PSPNet-50, 473x473 crops.

    Literature: 41.68 mean IoU on validation, single scale; 42.78 multi-scale (table 6.5)
    Command: tessella train ade20k_pspnet --data ADE20K --weights RESNET50.pth --devices 4
    Citation: Zhao et al., Pyramid scene parsing network, CVPR 2017
    """
    return Segmentation(
        network=partial(PSPNet, backbone=partial(ResNet, depth=50, deep_stem=True)),
        dataset=partial(ADE20K),
        train_split="training",
        val_split="validation",
        test_split="validation",
        crop=(473, 473),
        rotation=10.0,
        steps=125_000,
        batch_size=4,
        learning_rate=0.01,
        validate_every=10_000,
        workers=4,
    )
