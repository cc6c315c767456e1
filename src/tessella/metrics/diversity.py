"""How much the outputs for one condition differ, and how good the best of them are.

Thesis, chapter 5: figures 5.4 to 5.7 (best, top 10, distance to the mean image), table 5.3 (deviation of
features). Errors are [conditions, samples], smaller is better: give a similarity negated.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics.similarity import rmse

Errors = Float[Tensor, "conditions samples"]
Features = Float[Tensor, "outputs features"]


def distance_to_mean(images: Float[Tensor, "outputs 3 height width"]) -> tuple[float, float]:
    """The largest and the mean RMSE, in grey values of 0 to 255, of the outputs to their mean image (figure 5.7).

    Raises InputError where images are not [n, 3, H, W].
    """
    distances = rmse(images, images.float().mean(0, keepdim=True))
    return distances.max().item(), distances.mean().item()


def feature_deviation(features: Features) -> float:
    """The standard deviation over the outputs of each feature, in the mean over features (table 5.3).

    With n - 1 in the denominator, so that the numbers of models with few and with many outputs can be compared.
    Raises InputError where there are less than two outputs.
    """
    _check_outputs(features)
    return features.double().std(0).mean().item()


def pairwise_distance(features: Features) -> float:
    """The mean Euclidean distance over all pairs of different outputs. Raises InputError for less than two."""
    _check_outputs(features)
    return torch.pdist(features.double()).mean().item()


def best_of(errors: Errors) -> Float[Tensor, " samples"]:
    """The smallest error among the first m samples, in the mean over conditions, for m = 1, 2, ... (figure 5.4).

    Raises InputError where errors are not [conditions, samples], or not finite.
    """
    _check_errors(errors)
    return errors.double().cummin(1).values.mean(0)


def best_of_any(errors: Errors) -> Float[Tensor, " samples"]:
    """As `best_of`, expected over which m of the n samples are taken: an unbiased estimate that knows no order.

    Of the C(n, m) choices, C(n - i, m - 1) have the i-th smallest error as their best (i from 1).
    Raises InputError where errors are not [conditions, samples], or not finite.
    """
    _check_errors(errors)
    samples = errors.shape[1]
    taken = torch.arange(1, samples + 1, dtype=torch.float64, device=errors.device)[:, None]
    left = samples - torch.arange(1, samples, dtype=torch.float64, device=errors.device)  # n - i
    # The share of the first is m / n; from i to i + 1, it changes by (n - i - m + 1) / (n - i).
    share = torch.cat([taken / samples, ((left - taken + 1) / left).clamp(min=0)], dim=1).cumprod(1)
    return share @ errors.double().sort(1).values.mean(0)


def mean_of_top(errors: Errors, k: int = 10) -> float:
    """The mean of each condition's k smallest errors, in the mean over conditions (figure 5.6).

    Raises InputError where errors are not [conditions, samples] of at least k samples, or not finite.
    """
    _check_errors(errors)
    if not 1 <= k <= errors.shape[1]:
        raise InputError(f"k is {k}; give 1 to {errors.shape[1]}, the number of samples of each condition")
    return errors.double().topk(k, dim=1, largest=False).values.mean().item()


def _check_outputs(features: Features) -> None:
    if features.ndim != 2 or len(features) < 2 or features.shape[1] == 0:
        raise InputError(f"features have shape {list(features.shape)}; give [n, D] of at least two outputs")


def _check_errors(errors: Errors) -> None:
    if errors.ndim != 2 or errors.numel() == 0:
        raise InputError(f"errors have shape {list(errors.shape)}; give [conditions, samples], not empty")
    if not errors.isfinite().all():
        condition, sample = (~errors.isfinite()).nonzero()[0].tolist()
        raise InputError(f"the error of condition {condition}, sample {sample} is not finite; leave it out")
