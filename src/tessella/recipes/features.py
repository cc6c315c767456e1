"""Generators of features: tables 6.1 to 6.3 of the thesis, and small ones for two CPU cores.

Each is for a network that is trained already: ``--network RUN``. ``--at`` and ``--side`` choose the layer (table 6.3).
"""

from dataclasses import replace
from functools import partial

from tessella.adversarial import CodeEncoder
from tessella.feature_synthesis import FeatureDiscriminator, FeatureGenerator
from tessella.runs.feature_gan import FeatureGAN


def features() -> FeatureGAN:
    """Features of a network that was trained here, behind the third stage of its backbone (elsewhere with ``--at``).

    Command: tessella train features --data STREETS --network runs/streets
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    return FeatureGAN()


def features_baseline() -> FeatureGAN:
    """The same without atrous reduction, from layouts at the features' resolution: the baseline of table 6.2.

    Literature: a score of 63.4 mean IoU under the frozen PSPNet, where the proposed one has 74.3 (Cityscapes)
    Command: tessella train features_baseline --data STREETS --network runs/streets
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return replace(
        features(),
        generator=partial(FeatureGenerator, blocks=0),
        discriminator=partial(FeatureDiscriminator, blocks=0),
    )


def images_baseline() -> FeatureGAN:
    """Images of layouts, instead of features: what fails to help in table 6.1.

    Literature: training with them takes PSPNet from 79.7 to 76.6 mean IoU (Cityscapes)
    Command: tessella train images_baseline --data STREETS --network runs/streets
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return replace(
        features_baseline(),
        at="",
        generator=partial(FeatureGenerator, blocks=0, widths=(24, 48, 96, 128, 128, 128)),
        discriminator=partial(FeatureDiscriminator, blocks=0, widths=(24, 48, 96, 128), strided=3),
        encoder=partial(CodeEncoder, widths=(24, 48, 96, 128)),
    )


def cityscapes_features() -> FeatureGAN:
    """conv4_12 of PSPNet-101, before its rectifier.

    Literature: a score of 74.3 mean IoU (real features 86.2); training with them takes 79.7 to 80.3 (tables 6.1, 6.2)
    Command: tessella train cityscapes_features --data CITYSCAPES --network runs/cityscapes_pspnet
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    return replace(
        features(),
        at="backbone.layer3.11.relu",
        side="input",
        generator=partial(FeatureGenerator, reduction_width=32, widths=(256, 512, 512, 512)),
        discriminator=partial(FeatureDiscriminator, reduction_width=32, widths=(256, 512)),
        batch_size=16,
        steps=11_250,
        validate_every=2250,
        workers=8,
    )


def ade20k_features() -> FeatureGAN:
    """conv4_3 of PSPNet-50, before its rectifier.

    Literature: training with them takes 41.68 to 42.02 mean IoU (table 6.5)
    Command: tessella train ade20k_features --data ADE20K --network runs/ade20k_pspnet
    Citation: He, Schiele and Fritz, Synthetic convolutional features for improved semantic segmentation, ECCV 2020
        workshops
    """
    return replace(cityscapes_features(), at="backbone.layer3.2.relu", steps=50_000, validate_every=5000)
