"""Generators of images of a condition, small ones for two CPU cores; at the authors' widths: ``heads``, ``lfw``.

Each needs something to compare images by, ``--perceptual``: an ``..._embedding``, trained first on the same data, or
VGG-16 weights. A second one with another ``--seed``, and a judge of conditions (``..._landmarks``, ``..._normals``),
score what is sampled. ``--generator.branches 1`` of a CRN is a regression.
"""

from dataclasses import replace
from functools import partial

from tessella.datasets import HelenFaces, PairedFolders
from tessella.image_generation import ImageBicycleGAN, LateSplit, Pix2Pix, Separate, Shared, Widths
from tessella.runs.images import ImageJudge, ImageRegression, ImageTranslation

QUARTER = Widths(trunk=(256, 256, 256, 128), path=32, last=64)
OF_64 = Widths(trunk=(256, 256, 128), path=32, last=64)
"""For images of 64 pixels: a stage less."""

_OBJECTS = partial(PairedFolders, condition="normals", size=64)


def objects_normals() -> ImageJudge:
    """Normals from pictures of rendered objects: compares images in training, and judges them.

    Command: tessella train objects_normals --data OBJECTS
    Citation: Bansal, Russell and Gupta, Marr revisited: 2D-3D alignment via surface normal prediction, CVPR 2016
    """
    return ImageJudge(_OBJECTS, steps=2000, batch_size=16, workers=1)


def objects_embedding() -> ImageJudge:
    """Tells pictures of rendered objects apart: what their variety is measured by.

    Command: tessella train objects_embedding --data OBJECTS
    Citation: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020
    """
    return replace(objects_normals(), kind="embedding")


def objects_images() -> ImageRegression:
    """Pictures of rendered objects from normals; each of twelve colourings is as likely as the others.

    Command: tessella train objects_images --data OBJECTS --perceptual runs/objects_embedding
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return ImageRegression(
        _OBJECTS,
        generator=partial(Shared, branches=12, widths=OF_64),
        learning_rate=1e-3,
        neighbours_from=500,
    )


def objects_crn() -> ImageRegression:
    """Pictures of rendered objects by a last layer for each image (CRN).

    Command: tessella train objects_crn --data OBJECTS --perceptual runs/objects_embedding
    Citation: Chen and Koltun, Photographic image synthesis with cascaded refinement networks, ICCV 2017
    """
    return replace(objects_images(), generator=partial(LateSplit, branches=12, widths=OF_64))


def objects_bicycle() -> ImageTranslation:
    """Pictures of rendered objects by BicycleGAN.

    Command: tessella train objects_bicycle --data OBJECTS
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return ImageTranslation(_OBJECTS, gan=partial(ImageBicycleGAN, width=16))


def helen_landmarks() -> ImageJudge:
    """68 landmarks from faces of 128 pixels: compares images in training, and judges them.

    Command: tessella train helen_landmarks --data HELEN
    Citation: Sun et al., Integral human pose regression, ECCV 2018 (places as means of heat maps)
    """
    return ImageJudge(HelenFaces, kind="landmarks", steps=3000, batch_size=16)


def helen_embedding() -> ImageJudge:
    """Tells faces apart: stands for the face embedding of table 5.3.

    Command: tessella train helen_embedding --data HELEN
    Citation: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020
    """
    return replace(helen_landmarks(), kind="embedding", batch_size=32)


def helen_images() -> ImageRegression:
    """Faces from landmarks at quarter widths, with codes and neighbours: "Ours (Shared)" of tables 5.2 and 5.3.

    Literature: LFW: RMSE 8.956 / 5.679 (mean / best of 10), SSIM 0.686 / 0.764, FSIM 0.753 / 0.779, diversity 3.88
    Command: tessella train helen_images --data HELEN --perceptual runs/helen_embedding
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return ImageRegression(
        HelenFaces,
        generator=partial(Shared, branches=20, widths=QUARTER),
        neighbours=6,
        learning_rate=1e-3,
        steps=6000,
        neighbours_from=1000,
    )


def helen_separate() -> ImageRegression:
    """Faces from landmarks by branches with parameters of their own: "Ours (Separate)" of tables 5.2 and 5.3.

    Literature: LFW: RMSE 9.034 / 5.768 with neighbours, summed diversity 4.03
    Command: tessella train helen_separate --data HELEN --perceptual runs/helen_embedding
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return replace(helen_images(), generator=partial(Separate, branches=20, widths=QUARTER))


def helen_crn() -> ImageRegression:
    """Faces from landmarks by a last layer for each image: CRN of tables 5.2 and 5.3, without neighbours.

    Literature: LFW: RMSE 9.107 / 5.414, summed diversity 2.56
    Command: tessella train helen_crn --data HELEN --perceptual runs/helen_embedding
    Citation: Chen and Koltun, Photographic image synthesis with cascaded refinement networks, ICCV 2017
    """
    return replace(helen_images(), generator=partial(LateSplit, branches=20, widths=QUARTER), neighbours=0)


def helen_pix2pix() -> ImageTranslation:
    """Faces from landmarks by pix2pix.

    Literature: LFW: RMSE 9.952 / 9.649, summed diversity 2.08
    Command: tessella train helen_pix2pix --data HELEN
    Citation: Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017
    """
    return ImageTranslation(HelenFaces, gan=partial(Pix2Pix, width=16), steps=6000)


def helen_bicycle() -> ImageTranslation:
    """Faces from landmarks by BicycleGAN.

    Literature: LFW: RMSE 9.948 / 6.856, summed diversity 5.06
    Command: tessella train helen_bicycle --data HELEN
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return replace(helen_pix2pix(), gan=partial(ImageBicycleGAN, width=16))
