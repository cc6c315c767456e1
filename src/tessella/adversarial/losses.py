"""Losses of generative adversarial networks and of variational encoders."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tessella.precision import full_precision


def least_squares(scores: Sequence[Tensor], real: bool) -> Float[Tensor, ""]:
    """Mean squared distance of a discriminator's scores to 1 or 0, over all scales (LSGAN, Mao et al. 2017)."""
    target = float(real)
    return torch.stack([(full_precision(score) - target).square().mean() for score in scores]).mean()


def kl_to_standard_normal(
    mean: Float[Tensor, "batch code *places"], log_variance: Float[Tensor, "batch code *places"]
) -> Float[Tensor, ""]:
    """KL divergence of normal distributions to the standard one: summed over the code, the mean over batch and places.

    BicycleGAN's own code sums over the batch too, so that the weight of the loss depends on its size.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
