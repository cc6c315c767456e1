"""Segmentation networks trained with synthetic features beside real images: tables 6.1 to 6.5 of the thesis.

Each goes on from a trained network (``--weights``) with a generator of its features (``--synthetic.generator``).
Without a generator, real images take the place of synthetic features: as many updates, at the same rate. A gain is to
be measured against that. ``--synthetic none`` leaves them out altogether.
"""

from dataclasses import replace

from tessella.recipes.ade20k import ade20k_pspnet
from tessella.recipes.camvid import camvid_game
from tessella.recipes.cityscapes import cityscapes_pspnet
from tessella.runs.segmentation import Segmentation
from tessella.runs.synthetic import Synthetic


def cityscapes_synthetic() -> Segmentation:
    """PSPNet-101 trained on with synthetic conv4_12.

    Literature: 80.30 mean IoU on val, class accuracy 87.3; 79.73 and 86.3 before, without further training (table 6.1)
    Command: tessella train cityscapes_synthetic --data CITYSCAPES --weights
        runs/cityscapes_pspnet/checkpoints/best.ckpt --synthetic.generator runs/cityscapes_features
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    return replace(
        cityscapes_pspnet(),
        steps=10_000,
        batch_size=11,
        learning_rate=1e-4,
        head_factor=1.0,
        weight_decay=5e-4,
        keep_statistics=True,
        validate_every=1000,
        synthetic=Synthetic(label_smoothing=1e-4, hard=10),
    )


def ade20k_synthetic() -> Segmentation:
    """PSPNet-50 trained on with synthetic conv4_3.

    Literature: 42.02 mean IoU on validation, class accuracy 53.8; 41.68 and 51.8 before (table 6.5)
    Command: tessella train ade20k_synthetic --data ADE20K --weights runs/ade20k_pspnet/checkpoints/best.ckpt
        --synthetic.generator runs/ade20k_features
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    of_cityscapes = cityscapes_synthetic()
    return replace(
        ade20k_pspnet(),
        steps=of_cityscapes.steps,
        batch_size=of_cityscapes.batch_size,
        learning_rate=1e-5,
        head_factor=1.0,
        weight_decay=5e-4,
        keep_statistics=True,
        validate_every=1000,
        synthetic=Synthetic(label_smoothing=0.1, hard=10),
    )


def camvid_synthetic() -> Segmentation:
    """The small PSPNet-18 of the membership game trained on with synthetic features of its third stage.

    Command: tessella train camvid_synthetic --data CAMVID --weights runs/camvid_game/checkpoints/best.ckpt
        --synthetic.generator runs/features
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    return replace(
        camvid_game(),
        steps=400,
        batch_size=7,
        learning_rate=3e-4,
        keep_statistics=True,
        validate_every=400,
        synthetic=Synthetic(),
    )
