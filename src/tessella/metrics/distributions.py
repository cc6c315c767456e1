"""How far generated images as a whole are from real ones, by the features that any one network gives both.

- Fréchet distance (FID: Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, NeurIPS 2017) between the Gaussians of
  the same mean and covariance.
- Kernel distance (KID: Bińkowski, Sutherland, Arbel and Gretton, ICLR 2018), without bias also for few images.
- Precision and recall (Kynkäänniemi, Karras, Laine, Lehtinen and Aila, NeurIPS 2019), density and coverage (Naeem, Oh,
  Uh, Choi and Yoo, ICML 2020), from balls around each image that reach to its k-th nearest neighbour.

Features are [N, D], one row per image. Numbers from different networks cannot be compared; all is computed in float64.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tessella.errors import InputError

Features = Float[Tensor, "images features"]

_VALUES_AT_A_TIME = 2**22  # of a block of pairs: 32 MB


def frechet_distance(a: Features, b: Features) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), with covariances S of N - 1 degrees of freedom.

    For any N >= 2, fewer than D included; but it falls as N grows: compare numbers of equally many images.
    Raises InputError where features are too few, not finite, or not of one width.
    """
    _check(a, b, at_least=2)
    mean_a, mean_b = a.mean(0, dtype=torch.float64), b.mean(0, dtype=torch.float64)
    root_a, root_b = _covariance_root(a, mean_a), _covariance_root(b, mean_b)
    # With S = R'R, the eigenvalues of S_a S_b are the squared singular values of R_a R_b': no root of a matrix that
    # rounding has made indefinite.
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    distance = (mean_a - mean_b).square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * cross
    return max(0.0, distance.item())


def _covariance_root(features: Features, mean: Float[Tensor, " features"]) -> Float[Tensor, "rows features"]:
    """R of at most D rows with R'R the covariance, by a QR decomposition that takes in the rows bit by bit."""
    root = mean.new_zeros(0, len(mean))
    for rows in features.split(max(4 * len(mean), 1024)):
        root = torch.linalg.qr(torch.cat([root, rows.double() - mean]), mode="r").R
    return root / (len(features) - 1) ** 0.5


@dataclass(frozen=True)
class KernelDistance:
    """mmd2: squared maximum mean discrepancy, around 0 for equal distributions, so that it can be negative.

    deviation: the standard deviation of the subsets' values (with N, as published), nan for the whole sets.
    """

    mmd2: float
    deviation: float


def kernel_distance(
    a: Features, b: Features, subsets: int = 0, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """Squared MMD with the kernel (x.y / D + 1)^3, the unbiased estimate.

    subsets: 0 for the whole sets; else the mean over so many pairs of subsets, each drawn without
    replacement, as published (100 of 1000 images): the whole takes time in the square of N.

    Raises InputError where features are too few, not finite, or not of one width.
    """
    if subsets < 0 or subset_size < 2:
        raise InputError(f"subsets is {subsets}, subset_size {subset_size}; give at least 0 and 2")
    _check(a, b, at_least=subset_size if subsets else 2)
    if not subsets:
        return KernelDistance(_mmd2(a.double(), b.double()), float("nan"))
    rng = np.random.default_rng(seed)

    def drawn(features: Features) -> Features:
        rows = rng.choice(len(features), subset_size, replace=False)
        return features[torch.from_numpy(rows).to(features.device)].double()

    values = np.array([_mmd2(drawn(a), drawn(b)) for _ in range(subsets)])
    return KernelDistance(float(values.mean()), float(values.std()))


def _mmd2(a: Features, b: Features) -> float:
    return (
        _mean_kernel(a, a, apart=True) + _mean_kernel(b, b, apart=True) - 2 * _mean_kernel(a, b, apart=False)
    )


def _mean_kernel(a: Features, b: Features, apart: bool) -> float:
    """The kernel's mean over all pairs; `apart` leaves out those of a row with itself."""
    width = a.shape[1]
    total = torch.stack([(rows @ b.T / width + 1).pow(3).sum() for rows in _blocks(a, len(b))]).sum()
    pairs = len(a) * len(b)
    if apart:
        total = total - (a.square().sum(1) / width + 1).pow(3).sum()
        pairs -= len(a)
    return total.item() / pairs


@dataclass(frozen=True)
class ManifoldScores:
    """How the neighbourhoods of real and generated images cover each other.

    precision: share of the generated images in the ball of a real one. recall: share of the real images in the
    ball of a generated one. density: the mean number of real balls around a generated image, over k; around 1
    for equal distributions, and not bounded by it. coverage: share of the real images with a generated one in
    their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(real: Features, fake: Features, k: int = 5) -> ManifoldScores:
    """Each ball reaches to the k-th nearest neighbour in the same set, which it includes.

    Published precision and recall take k = 3, density and coverage k = 5. Memory: both sets in float64, and
    blocks of 32 MB of distances.
    Raises InputError where features are not more than k, not finite, or not of one width.
    """
    if k < 1:
        raise InputError(f"k is {k}; give at least 1")
    _check(real, fake, at_least=k + 1)
    # Around zero, less is lost in distances by way of products.
    centre = real.mean(0, dtype=torch.float64)
    real, fake = real.double() - centre, fake.double() - centre
    real_radius, fake_radius = _radii(real, k), _radii(fake, k)

    fake_is_inside = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = covered = balls_around = 0
    for rows, radius in zip(_blocks(real, len(fake)), _blocks(real_radius, len(fake)), strict=True):
        distance = torch.cdist(rows, fake)
        inside = distance <= radius[:, None]
        fake_is_inside |= inside.any(0)
        covered += int(inside.any(1).sum())
        balls_around += int(inside.sum())
        recalled += int((distance <= fake_radius).any(1).sum())
    return ManifoldScores(
        precision=fake_is_inside.double().mean().item(),
        recall=recalled / len(real),
        density=balls_around / (k * len(fake)),
        coverage=covered / len(real),
    )


def _radii(features: Features, k: int) -> Float[Tensor, " images"]:
    """The distance to the k-th nearest other row; the nearest of all is the row itself."""
    blocks = _blocks(features, len(features))
    return torch.cat([torch.cdist(rows, features).kthvalue(k + 1, dim=1).values for rows in blocks])


def _blocks(rows: Float[Tensor, "images ..."], columns: int) -> tuple[Tensor, ...]:
    """The rows in groups, so that a matrix of a group's rows and so many columns stays small."""
    return rows.split(max(1, _VALUES_AT_A_TIME // columns))


def _check(a: Features, b: Features, at_least: int) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] == 0:
        raise InputError(
            f"features have shapes {list(a.shape)} and {list(b.shape)}; give [N, D] of one network for both"
        )
    if min(len(a), len(b)) < at_least:
        raise InputError(
            f"there are features of {len(a)} and {len(b)} images; give at least {at_least} of each"
        )
    for name, features in (("first", a), ("second", b)):
        if not features.isfinite().all():
            row = int((~features.isfinite()).any(1).nonzero()[0])
            raise InputError(f"row {row} of the {name} features is not finite; leave this image out")
