"""Heads of cats and dogs from normals: table 5.1 of the thesis, at its widths.

The normals are yours (see ``OxfordPetHeads``). ``--perceptual`` takes VGG-16 weights or a run of ``heads_embedding``;
the judges ``heads_normals`` and ``heads_embedding`` score what is sampled. ``--generator.branches 1`` of ``heads_crn``
is a regression, ``--neighbours 6`` of any adds neighbours.
"""

from dataclasses import replace
from functools import partial

from tessella.datasets import OxfordPetHeads
from tessella.image_generation import ImageBicycleGAN, LateSplit, Separate, Shared
from tessella.recipes.lfw import lfw_images, lfw_pix2pix
from tessella.runs.images import ImageJudge, ImageRegression, ImageTranslation


def heads_normals() -> ImageJudge:
    """Normals from heads of pets, as far as the given ones are right: reads them in what is sampled.

    Command: tessella train heads_normals --data PETS
    Citation: Bansal, Russell and Gupta, Marr revisited: 2D-3D alignment via surface normal prediction, CVPR 2016
    """
    return ImageJudge(OxfordPetHeads, kind="maps", steps=3000, batch_size=16)


def heads_embedding() -> ImageJudge:
    """Tells heads of pets apart.

    Command: tessella train heads_embedding --data PETS
    Citation: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020
    """
    return replace(heads_normals(), kind="embedding", batch_size=32)


def heads_images() -> ImageRegression:
    """Heads of cats and dogs from normals at the authors' widths, 20 branches: "Ours-20" of table 5.1.

    Literature: normals of the best of 72: mean 12.0, median 10.5, RMSE 14.1 degrees
    Command: tessella train heads_images --data PETS --perceptual vgg16.pth
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return replace(
        lfw_images(),
        dataset=OxfordPetHeads,
        generator=partial(Shared, branches=20),
        neighbours=0,
        steps=110_000,
    )


def heads_separate() -> ImageRegression:
    """Heads from normals by branches with parameters of their own: "Separate" of figures 5.4 and 5.5.

    Command: tessella train heads_separate --data PETS --perceptual vgg16.pth
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return replace(heads_images(), generator=partial(Separate, branches=20))


def heads_crn() -> ImageRegression:
    """Heads from normals by a last layer for each of 72 images: CRN of table 5.1.

    Literature: normals of the best of 72: mean 11.8, median 10.3, RMSE 13.9 degrees
    Command: tessella train heads_crn --data PETS --perceptual vgg16.pth
    Citation: Chen and Koltun, Photographic image synthesis with cascaded refinement networks, ICCV 2017
    """
    return replace(heads_images(), generator=partial(LateSplit, branches=72))


def heads_pix2pix() -> ImageTranslation:
    """Heads from normals by pix2pix: table 5.1.

    Literature: normals of the best of 72: mean 13.2, median 11.4, RMSE 15.7 degrees
    Command: tessella train heads_pix2pix --data PETS
    Citation: Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017
    """
    return replace(lfw_pix2pix(), dataset=OxfordPetHeads, steps=110_000)


def heads_bicycle() -> ImageTranslation:
    """Heads from normals by BicycleGAN: table 5.1.

    Literature: normals of the best of 72: mean 21.6, median 19.3, RMSE 24.9 degrees
    Command: tessella train heads_bicycle --data PETS
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return replace(heads_pix2pix(), gan=ImageBicycleGAN)
