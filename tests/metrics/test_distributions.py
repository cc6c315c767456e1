"""Distances of distributions against loops over pairs, closed forms for Gaussians, and what the papers promise."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import (
    distributions,
    frechet_distance,
    kernel_distance,
    precision_recall_density_coverage,
)


def gaussian(seed: int, count: int, width: int, scale: float = 1, shift: float = 0) -> Tensor:
    return shift + scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def mixed(seed: int, count: int, width: int) -> Tensor:
    """Correlated features whose scales spread over two orders of magnitude."""
    mixing = gaussian(99, width, width) * torch.logspace(-1, 1, width)
    return gaussian(seed, count, width) @ mixing + 3


def naive_frechet(a: np.ndarray, b: np.ndarray) -> float:
    covariance_a, covariance_b = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (a, b))
    root = sqrtm(covariance_a @ covariance_b).real
    difference = a.mean(0) - b.mean(0)
    return float(difference @ difference + np.trace(covariance_a + covariance_b - 2 * root))


def naive_mmd2(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    def among(points: np.ndarray) -> float:
        pairs = [kernel(points[i], points[j]) for i, j in np.ndindex(len(points), len(points)) if i != j]
        return float(np.mean(pairs))

    return among(a) + among(b) - 2 * float(np.mean([kernel(x, y) for x in a for y in b]))


def naive_manifolds(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def radius(points: np.ndarray, index: int) -> float:
        others = np.delete(points, index, axis=0)
        return float(np.sort(np.linalg.norm(others - points[index], axis=1))[k - 1])

    real_radius = [radius(real, i) for i in range(len(real))]
    fake_radius = [radius(fake, j) for j in range(len(fake))]
    in_real = np.array(
        [[np.linalg.norm(x - y) <= r for x, r in zip(real, real_radius, strict=True)] for y in fake]
    )
    in_fake = np.array(
        [[np.linalg.norm(x - y) <= r for y, r in zip(fake, fake_radius, strict=True)] for x in real]
    )
    return (
        in_real.any(1).mean(),
        in_fake.any(1).mean(),
        in_real.sum() / (k * len(fake)),
        in_real.any(0).mean(),
    )


@pytest.mark.parametrize("width", [1, 7, 40])
def test_frechet_distance_as_by_a_matrix_root(width: int) -> None:
    a, b = mixed(0, 300, width), mixed(1, 170, width) * 1.3 + 0.5
    assert frechet_distance(a, b) == pytest.approx(
        naive_frechet(a.double().numpy(), b.double().numpy()), rel=1e-8
    )


def test_frechet_distance_of_known_moments() -> None:
    # Rows +-e_i sqrt((N - 1) / 2) have mean zero and the identity for covariance.
    width = 6
    signs = torch.cat([torch.eye(width), -torch.eye(width)], dim=0).double() * math.sqrt((2 * width - 1) / 2)
    # Between N(0, 4 I) and N(m, 9 I): |m|^2 + D (2 - 3)^2.
    assert frechet_distance(2 * signs, 3 * signs + 5) == pytest.approx(width * 25 + width)


@pytest.mark.parametrize(("count", "width"), [(400, 10), (12, 50), (2, 3)])
def test_frechet_distance_to_itself_is_zero_and_it_is_symmetric(count: int, width: int) -> None:
    a, b = mixed(0, count, width), mixed(1, count + 5, width)
    scale = a.var(0).sum().item()
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-12 * scale)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * width, rel=1e-5)


def test_frechet_distance_with_fewer_images_than_features() -> None:
    """A turn of the axes puts 5-dimensional data into 40 dimensions; nothing changes."""
    a, b = gaussian(0, 9, 5).double(), gaussian(1, 12, 5, scale=2).double()
    axes = torch.linalg.qr(gaussian(2, 40, 5).double()).Q.T
    assert frechet_distance(a @ axes, b @ axes) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_frechet_distance_row_by_row_as_at_once() -> None:
    a, b = mixed(0, 2500, 3), mixed(1, 1025, 3) + 1
    assert frechet_distance(a, b) == pytest.approx(
        naive_frechet(a.double().numpy(), b.double().numpy()), rel=1e-8
    )


def test_kernel_distance_as_a_loop_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = gaussian(0, 23, 6), gaussian(1, 17, 6, scale=1.5, shift=0.3)
    expected = pytest.approx(naive_mmd2(a.double().numpy(), b.double().numpy()), rel=1e-9)
    whole = kernel_distance(a, b)
    assert whole.mmd2 == expected
    assert math.isnan(whole.deviation)
    monkeypatch.setattr(distributions, "_VALUES_AT_A_TIME", 50)
    assert kernel_distance(a, b).mmd2 == expected


def test_kernel_distance_has_no_bias() -> None:
    """Over many small samples of one distribution it is around zero, within what its spread allows."""
    values = np.array(
        [kernel_distance(gaussian(2 * i, 10, 4), gaussian(2 * i + 1, 10, 4)).mmd2 for i in range(400)]
    )
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    assert kernel_distance(gaussian(0, 50, 4), gaussian(1, 50, 4, shift=1)).mmd2 > 10 * values.std() / 5


def test_kernel_distance_over_subsets() -> None:
    a, b = gaussian(0, 60, 5), gaussian(1, 80, 5, shift=0.5)
    drawn = kernel_distance(a, b, subsets=200, subset_size=30, seed=3)
    assert drawn == kernel_distance(a, b, subsets=200, subset_size=30, seed=3)
    assert drawn != kernel_distance(a, b, subsets=200, subset_size=30, seed=4)
    error = drawn.deviation / math.sqrt(200)
    assert abs(drawn.mmd2 - kernel_distance(a, b).mmd2) < 4 * error
    # Subsets of everything are the whole.
    whole = kernel_distance(a, b[:60], subsets=3, subset_size=60)
    assert whole.mmd2 == pytest.approx(kernel_distance(a, b[:60]).mmd2)
    assert whole.deviation == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbourhoods_as_a_loop_over_pairs(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(0, 31, 4), gaussian(1, 26, 4, scale=0.8, shift=0.6)
    expected = naive_manifolds(real.double().numpy(), fake.double().numpy(), k)
    scores = precision_recall_density_coverage(real, fake, k)
    found = (scores.precision, scores.recall, scores.density, scores.coverage)
    assert found == pytest.approx(expected)
    monkeypatch.setattr(distributions, "_VALUES_AT_A_TIME", 100)
    assert precision_recall_density_coverage(real, fake, k) == scores


def test_neighbourhoods_of_equal_distributions() -> None:
    """Naeem et al.: density is 1 in expectation, coverage about 1 - 2^-k (lemma 2 for as many fakes as reals)."""
    scores = precision_recall_density_coverage(gaussian(0, 1500, 8), gaussian(1, 1500, 8), k=5)
    assert scores.density == pytest.approx(1, abs=0.05)
    assert scores.coverage == pytest.approx(1 - 2**-5, abs=0.015)


def test_neighbourhoods_of_collapsed_scattered_and_far_images() -> None:
    real = gaussian(0, 300, 6)
    collapsed = precision_recall_density_coverage(real, gaussian(1, 300, 6, scale=0.05))
    assert collapsed.precision > 0.99
    assert collapsed.recall < 0.05
    assert collapsed.density > 1
    assert collapsed.coverage < 0.5
    scattered = precision_recall_density_coverage(real, gaussian(1, 300, 6, scale=4))
    assert scattered.precision < 0.2
    assert scattered.recall > 0.95
    far = precision_recall_density_coverage(real, real + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_an_outlier_raises_precision_more_than_density() -> None:
    """Naeem et al., figure 2: one real outlier has a ball that fake images far from all others lie in."""
    real = torch.cat([gaussian(0, 200, 3), torch.full((1, 3), 30.0)])
    fake = gaussian(1, 200, 3, scale=0.5, shift=15)
    scores = precision_recall_density_coverage(real, fake)
    assert scores.precision == 1
    assert scores.density == pytest.approx(1 / 5)
    assert scores.coverage == pytest.approx(1 / 201)


def test_copies_cover_all_wherever_they_are() -> None:
    real = gaussian(0, 100, 40, shift=1000)
    scores = precision_recall_density_coverage(real, real.flip(0))
    assert (scores.precision, scores.recall, scores.coverage) == (1, 1, 1)


def test_bad_input() -> None:
    features = gaussian(0, 8, 5)
    broken = features.clone()
    broken[3, 2] = math.nan
    distances = (frechet_distance, kernel_distance, precision_recall_density_coverage)
    for distance in distances:
        with pytest.raises(InputError, match=r"\[8, 5\] and \[8, 4\]; give \[N, D\] of one network"):
            distance(features, features[:, :4])
        with pytest.raises(InputError, match=r"give \[N, D\]"):
            distance(features[0], features[0])
        with pytest.raises(InputError, match="row 3 of the second features is not finite"):
            distance(features, broken)
    for distance in distances[:2]:
        with pytest.raises(InputError, match="8 and 1 images; give at least 2"):
            distance(features, features[:1])
    with pytest.raises(InputError, match="5 and 8 images; give at least 6"):
        precision_recall_density_coverage(features[:5], features)
    with pytest.raises(InputError, match="k is 0"):
        precision_recall_density_coverage(features, features, k=0)
    with pytest.raises(InputError, match="give at least 1000 of each"):
        kernel_distance(features, features, subsets=10)
    with pytest.raises(InputError, match="subsets is -1"):
        kernel_distance(features, features, subsets=-1)
