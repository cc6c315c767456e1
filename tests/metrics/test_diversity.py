"""Diversity and the best of several against loops, every choice of samples, and numbers known by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import (
    FeatureDeviation,
    best_of,
    best_of_any,
    distance_to_mean,
    feature_deviation,
    mean_of_top,
    pairwise_distance,
)


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_distance_to_mean_by_hand() -> None:
    images = torch.zeros(4, 3, 5, 6)
    images[0] = 40  # the mean is 10: distances are 30, 10, 10, 10
    assert distance_to_mean(images) == (30, 15)
    assert distance_to_mean(images[1:]) == (0, 0)
    assert distance_to_mean(images[:1]) == (0, 0)


def test_distance_to_mean_as_a_loop() -> None:
    images = 255 * random(7, 3, 8, 9)
    values = images.double().numpy()
    distances = [math.sqrt(((image - values.mean(0)) ** 2).mean()) for image in values]
    assert distance_to_mean(images) == pytest.approx((max(distances), np.mean(distances)), rel=1e-5)
    assert distance_to_mean(images.byte())[0] == pytest.approx(max(distances), rel=1e-2)


def test_feature_deviation_as_numpy_computes_it() -> None:
    features = random(6, 40)
    assert feature_deviation(features) == pytest.approx(features.double().numpy().std(0, ddof=1).mean())
    assert feature_deviation(3 * features + 7) == pytest.approx(3 * feature_deviation(features), rel=1e-5)
    assert feature_deviation(features[:1].expand(6, -1)) == 0


@pytest.mark.parametrize("sizes", [(1, 1), (6,), (1, 70, 2), (40, 33)])
def test_deviation_of_parts_is_that_of_all(sizes: tuple[int, ...]) -> None:
    features = 1000 + random(sum(sizes), 12)
    running = FeatureDeviation()
    for part in features.split(list(sizes)):
        running.update(part)
    expected = features.double().numpy().std(0, ddof=1).mean()
    assert running.compute() == pytest.approx(expected, rel=1e-9)
    assert feature_deviation(features) == pytest.approx(expected, rel=1e-9)


def test_an_empty_part_changes_nothing() -> None:
    features, running = random(5, 3), FeatureDeviation()
    for part in features.split([0, 2, 0, 3]):
        running.update(part)
    assert running.compute() == pytest.approx(feature_deviation(features))


def test_deviation_of_less_than_two() -> None:
    running = FeatureDeviation()
    running.update(random(1, 3))
    with pytest.raises(InputError, match="features of 1 outputs; give at least two"):
        running.compute()


def test_many_outputs_are_those_of_a_few_at_a_time() -> None:
    """What is computed in parts, for more outputs than one part holds."""
    images, features = 255 * random(70, 3, 4, 5), random(70, 6)
    distances = [float((image - images.mean(0)).square().mean().sqrt()) for image in images]
    assert distance_to_mean(images) == pytest.approx((max(distances), np.mean(distances)), rel=1e-5)
    assert pairwise_distance(features) == pytest.approx(torch.pdist(features.double()).mean().item())


def test_feature_deviation_does_not_grow_with_the_number_of_outputs() -> None:
    features = torch.randn(50, 20_000, generator=torch.Generator().manual_seed(0))
    variances = [features[:count].double().var(0).mean().item() for count in (2, 10, 50)]
    assert variances == pytest.approx([1, 1, 1], abs=0.04)
    assert feature_deviation(features) == pytest.approx(1, abs=0.01)


def test_pairwise_distance_as_a_loop_over_pairs() -> None:
    features = random(9, 30)
    pairs = [float((x.double() - y.double()).norm()) for x, y in itertools.combinations(features, 2)]
    assert pairwise_distance(features) == pytest.approx(np.mean(pairs))
    assert pairwise_distance(features[:1].expand(5, -1)) == 0
    assert pairwise_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]])) == 5


def test_best_of_by_hand() -> None:
    errors = torch.tensor([[4.0, 6.0, 1.0], [5.0, 3.0, 7.0]])
    assert best_of(errors).tolist() == [4.5, 3.5, 2]


@pytest.mark.parametrize("samples", [1, 2, 5, 8])
def test_best_of_any_as_every_choice_of_samples(samples: int) -> None:
    errors = random(4, samples)
    errors[0] = errors[0, 0]  # ties
    for m, found in enumerate(best_of_any(errors).tolist(), start=1):
        choices = [errors[:, list(chosen)].amin(1) for chosen in itertools.combinations(range(samples), m)]
        assert found == pytest.approx(torch.stack(choices).double().mean().item(), rel=1e-6)


def test_best_of_any_knows_no_order_and_is_the_mean_of_best_of_over_orders() -> None:
    errors = random(3, 5)
    expected = best_of_any(errors)
    torch.testing.assert_close(best_of_any(errors[:, [3, 1, 4, 0, 2]]), expected)
    orders = [best_of(errors[:, list(order)]) for order in itertools.permutations(range(5))]
    torch.testing.assert_close(torch.stack(orders).mean(0), expected)


def test_best_of_any_of_many_samples() -> None:
    """Of 0, 1/n, ... (n - 1)/n, m drawn without replacement have the smallest (n - m) / (n (m + 1)) on average."""
    count = 2000
    errors = (torch.arange(count, dtype=torch.float64) / count)[None]
    m = torch.arange(1, count + 1, dtype=torch.float64)
    torch.testing.assert_close(best_of_any(errors), (count - m) / (count * (m + 1)), rtol=0, atol=1e-12)


def test_ends_agree() -> None:
    errors = random(6, 12)
    for curve in (best_of(errors), best_of_any(errors)):
        assert (curve.diff() <= 0).all()
        assert curve[-1].item() == pytest.approx(errors.amin(1).double().mean().item())
    assert best_of_any(errors)[0].item() == pytest.approx(errors.double().mean().item())
    assert mean_of_top(errors, 1) == pytest.approx(errors.amin(1).double().mean().item())
    assert mean_of_top(errors, 12) == pytest.approx(errors.double().mean().item())


def test_mean_of_top_as_sorted() -> None:
    errors = random(5, 30)
    assert mean_of_top(errors) == pytest.approx(np.sort(errors.double().numpy(), axis=1)[:, :10].mean())


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"give \[B, 3, H, W\]"):
        distance_to_mean(random(4, 8, 8))
    for measure in (feature_deviation, pairwise_distance):
        with pytest.raises(InputError, match=r"shape \[1, 5\]; give \[n, D\] of at least two outputs"):
            measure(random(1, 5))
        with pytest.raises(InputError, match=r"give \[n, D\]"):
            measure(random(5))
    broken = random(3, 4)
    broken[2, 1] = math.nan
    for measure in (best_of, best_of_any, lambda errors: mean_of_top(errors, 1)):
        with pytest.raises(InputError, match=r"shape \[5\]; give \[conditions, samples\]"):
            measure(random(5))
        with pytest.raises(InputError, match="not empty"):
            measure(random(0, 4))
        with pytest.raises(InputError, match="condition 2, sample 1 is not finite"):
            measure(broken)
    with pytest.raises(InputError, match="k is 10; give 1 to 4"):
        mean_of_top(random(3, 4))
