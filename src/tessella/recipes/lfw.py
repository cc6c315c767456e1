"""Faces of LFW from 68 landmarks: tables 5.2 and 5.3 of the thesis, at its widths and with its 10 branches.

Landmark files are yours (``landmarks/NAME/NAME_0001.pts``). ``--generator.branches 1 --neighbours 0`` of ``lfw_crn`` is
a regression; ``--neighbours 0`` or ``6`` leaves neighbours out or adds them.
"""

from dataclasses import replace
from functools import partial

from tessella.datasets import LFW
from tessella.image_generation import ImageBicycleGAN, LateSplit, Pix2Pix, Separate, Shared
from tessella.recipes.images import helen_embedding, helen_landmarks
from tessella.runs.images import ImageJudge, ImageRegression, ImageTranslation


def lfw_landmarks() -> ImageJudge:
    """68 landmarks from faces of LFW; landmark files are yours (``landmarks/NAME/NAME_0001.pts``).

    Command: tessella train lfw_landmarks --data LFW
    Citation: Sun et al., Integral human pose regression, ECCV 2018 (places as means of heat maps)
    """
    return replace(helen_landmarks(), dataset=LFW)


def lfw_embedding() -> ImageJudge:
    """Tells faces of LFW apart: stands for the face embedding of table 5.3.

    Command: tessella train lfw_embedding --data LFW
    Citation: Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020
    """
    return replace(helen_embedding(), dataset=LFW)


def lfw_images() -> ImageRegression:
    """Faces of LFW at the authors' widths, 10 branches: "Ours (Shared)" of tables 5.2 and 5.3.

    Literature: RMSE 8.956 / 5.679 (mean / best of 10), SSIM 0.686 / 0.764, FSIM 0.753 / 0.779; summed diversity 3.88
    Command: tessella train lfw_images --data LFW --perceptual vgg16.pth
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return ImageRegression(
        LFW,
        generator=partial(Shared, branches=10, rate=0.667),
        neighbours=6,
        steps=90_000,
        batch_size=1,
        validate_every=5000,
        neighbours_from=4000,
        workers=4,
    )


def lfw_separate() -> ImageRegression:
    """Faces of LFW by branches with parameters of their own: "Ours (Separate)" of tables 5.2 and 5.3.

    Literature: RMSE 9.034 / 5.768 (mean / best of 10), SSIM 0.678 / 0.757, FSIM 0.748 / 0.774; summed diversity 4.03
    Command: tessella train lfw_separate --data LFW --perceptual vgg16.pth
    Citation: He, Schiele and Fritz, Diverse conditional image generation by stochastic regression with latent drop-out
        codes, ECCV 2018
    """
    return replace(lfw_images(), generator=partial(Separate, branches=10))


def lfw_crn() -> ImageRegression:
    """Faces of LFW by a last layer for each image: CRN of tables 5.2 and 5.3, without neighbours.

    Literature: RMSE 9.107 / 5.414 (mean / best of 10), SSIM 0.705 / 0.767, FSIM 0.760 / 0.779; summed diversity 2.56
    Command: tessella train lfw_crn --data LFW --perceptual vgg16.pth
    Citation: Chen and Koltun, Photographic image synthesis with cascaded refinement networks, ICCV 2017
    """
    return replace(lfw_images(), generator=partial(LateSplit, branches=10), neighbours=0)


def lfw_pix2pix() -> ImageTranslation:
    """Faces of LFW by pix2pix: tables 5.2 and 5.3.

    Literature: RMSE 9.952 / 9.649 (mean / best of 10), SSIM 0.696 / 0.708, FSIM 0.749 / 0.755; summed diversity 2.08
    Command: tessella train lfw_pix2pix --data LFW
    Citation: Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017
    """
    return ImageTranslation(LFW, gan=Pix2Pix, steps=90_000, batch_size=1, validate_every=5000, workers=4)


def lfw_bicycle() -> ImageTranslation:
    """Faces of LFW by BicycleGAN: tables 5.2 and 5.3.

    Literature: RMSE 9.948 / 6.856 (mean / best of 10), SSIM 0.621 / 0.715, FSIM 0.725 / 0.758; summed diversity 5.06
    Command: tessella train lfw_bicycle --data LFW
    Citation: Zhu et al., Toward multimodal image-to-image translation, NeurIPS 2017
    """
    return replace(lfw_pix2pix(), gan=ImageBicycleGAN)
