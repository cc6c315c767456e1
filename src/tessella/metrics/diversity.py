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

_AT_ONCE = 32  # outputs that are looked at together
_EXACT = "donot_use_mm_for_euclid_dist"  # a distance of an output to itself is 0


def distance_to_mean(images: Float[Tensor, "outputs 3 height width"]) -> tuple[float, float]:
    """The largest and the mean RMSE, in grey values of 0 to 255, of the outputs to their mean image (figure 5.7).

    Raises InputError where images are not [n, 3, H, W].
    """
    parts = images.split(_AT_ONCE)
    mean = sum(part.double().sum(0, keepdim=True) for part in parts) / max(len(images), 1)
    distances = torch.cat([rmse(part, mean) for part in parts])
    return distances.max().item(), distances.mean().item()


def feature_deviation(features: Features) -> float:
    """The standard deviation over the outputs of each feature, in the mean over features (table 5.3).

    With n - 1 in the denominator, so that the numbers of models with few and with many outputs can be compared.
    Raises InputError where there are less than two outputs.
    """
    _check_outputs(features)
    deviation = FeatureDeviation()
    for part in features.split(_AT_ONCE):
        deviation.update(part)
    return deviation.compute()


class FeatureDeviation:
    """`feature_deviation` of outputs that come in parts: memory does not grow with their number."""

    def __init__(self) -> None:
        self._number = 0

    def update(self, features: Features) -> None:
        """Sums of squares around the mean are joined as Chan, Golub and LeVeque (1983) do."""
        number, part = len(features), features.double()
        if not number:
            return
        mean = part.mean(0)
        squares = (part - mean).square().sum(0)
        if not self._number:
            self._number, self._mean, self._squares = number, mean, squares
            return
        total, apart = self._number + number, mean - self._mean
        self._squares = self._squares + squares + apart.square() * (self._number * number / total)
        self._mean = self._mean + apart * (number / total)
        self._number = total

    def compute(self) -> float:
        """Raises InputError after less than two outputs."""
        if self._number < 2:
            raise InputError(f"there are features of {self._number} outputs; give at least two")
        return (self._squares / (self._number - 1)).sqrt().mean().item()


def pairwise_distance(features: Features) -> float:
    """The mean Euclidean distance over all pairs of different outputs. Raises InputError for less than two."""
    _check_outputs(features)
    values = features.double()
    total = torch.stack(
        [torch.cdist(part, values, compute_mode=_EXACT).sum() for part in values.split(_AT_ONCE)]
    ).sum()
    return total.item() / (len(values) * (len(values) - 1))


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
    values = errors.double().sort(1).values.mean(0)
    left = samples - torch.arange(1, samples, dtype=torch.float64, device=errors.device)  # n - i
    # The share of the first is m / n; from i to i + 1, it changes by (n - i - m + 1) / (n - i).
    found = []
    for taken in torch.arange(1, samples + 1, dtype=torch.float64, device=errors.device)[:, None].split(
        _AT_ONCE
    ):
        share = torch.cat([taken / samples, ((left - taken + 1) / left).clamp(min=0)], dim=1).cumprod(1)
        found.append(share @ values)
    return torch.cat(found)


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
