"""The shadow models of an attacker who never asks: table 7.1 of the thesis."""

from dataclasses import replace
from functools import partial

from tessella.datasets import BDD100K, Listed, MapillaryVistas
from tessella.networks import DPC, DeepLabV3Plus, Xception
from tessella.recipes.cityscapes import cityscapes_deeplab_v3plus
from tessella.runs.segmentation import Segmentation


def bdd100k_shadow() -> Segmentation:
    """DeepLab-v3+ with Xception-71 on 4000 images of BDD100K; the other 4000 are its non-members.

    The lists ``lists/bdd100k/members.txt`` and ``nonmembers.txt`` name the images, as ``train/0a0a0b1a-7c39d841``.

    Literature: the attack with it comes near to that of an attacker who may ask (section 7.4.1)
    Command: tessella train bdd100k_shadow --data BDD100K --weights XCEPTION71.pth --devices 4
    Citation: He, Improved methods and analysis for semantic image segmentation, 2019, table 7.1
    """
    return replace(
        cityscapes_deeplab_v3plus(),
        network=partial(DeepLabV3Plus, backbone=partial(Xception, depth=71)),
        dataset=partial(Listed, dataset=partial(BDD100K), lists="lists/bdd100k", of_splits=("train", "val")),
        train_split="members",
        val_split="nonmembers",
        test_split="nonmembers",
        crop=(705, 705),
        batch_size=7,
        learning_rate=0.01,
        weight_decay=4e-5,
    )


def mapillary_shadow() -> Segmentation:
    """Dense prediction cell with Xception-71 on 10000 images of Mapillary Vistas; the other 10000 are its non-members.

    Labels are merged to Cityscapes' 19. The lists are ``lists/mapillary/members.txt`` and ``nonmembers.txt``.

    Command: tessella train mapillary_shadow --data MAPILLARY --weights XCEPTION71.pth --devices 4
    Citation: He, Improved methods and analysis for semantic image segmentation, 2019, table 7.1
    """
    return replace(
        bdd100k_shadow(),
        network=partial(DPC, backbone=partial(Xception, depth=71)),
        dataset=partial(
            Listed,
            dataset=partial(MapillaryVistas, classes=19),
            lists="lists/mapillary",
            of_splits=("training", "validation"),
        ),
        crop=(721, 721),
        batch_size=9,
        learning_rate=0.02,
    )
