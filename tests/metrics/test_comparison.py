import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.metrics import compare, confusion_per_image, segmentation_scores


def two_runs(
    num_images: int = 12, error_a: float = 0.4, error_b: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (num_images, 10, 10), generator=generator)
    target[:3, :2] = 255
    runs = []
    for error in (error_a, error_b):
        wrong = torch.rand(target.shape, generator=generator) < error
        prediction = torch.where(
            wrong, torch.randint(0, 4, target.shape, generator=generator), target.clamp(max=3)
        )
        runs.append(confusion_per_image(prediction, target, 5).numpy())
    return runs[0], runs[1]


def naive_bootstrap(a: np.ndarray, b: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        times = rng.multinomial(len(a), np.full(len(a), 1 / len(a)))
        images = np.repeat(np.arange(len(a)), times)
        scores = [segmentation_scores(torch.from_numpy(run[images].sum(axis=0))) for run in (a, b)]
        differences.append(scores[1].mean_iou - scores[0].mean_iou)
    return np.array(differences)


def test_interval_equals_a_naive_loop() -> None:
    a, b = two_runs()
    result = compare(a, b, resamples=200, seed=3)
    differences = naive_bootstrap(a, b, 200, seed=3)
    assert result.interval == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))
    assert result.reversed_share == pytest.approx((differences <= 0).mean())
    assert result.difference == pytest.approx(result.mean_iou_b - result.mean_iou_a)
    assert result.mean_iou_a == pytest.approx(segmentation_scores(torch.from_numpy(a.sum(axis=0))).mean_iou)
    assert result.num_images == 12


def test_a_clear_difference_is_sure_and_its_mirror_image_too() -> None:
    a, b = two_runs(40, error_a=0.6, error_b=0.1)
    forth, back = compare(a, b, resamples=1000), compare(b, a, resamples=1000)
    assert 0 < forth.interval[0] < forth.difference < forth.interval[1]
    assert forth.reversed_share == back.reversed_share == 0
    assert back.interval == pytest.approx((-forth.interval[1], -forth.interval[0]))


def test_the_same_run_twice_differs_by_nothing() -> None:
    a, _ = two_runs()
    result = compare(a, a, resamples=300)
    assert result.difference == 0
    assert result.interval == (0, 0)
    assert result.reversed_share == 0.5


def test_draws_without_a_difference_count_half() -> None:
    """One image of two differs: a quarter of the draws do not have it."""
    a = np.array([[[4, 4], [4, 4]], [[4, 4], [4, 4]]])
    b = np.array([[[4, 4], [4, 4]], [[8, 0], [0, 8]]])
    assert compare(a, b, resamples=4000).reversed_share == pytest.approx(1 / 8, abs=0.02)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    # Both runs err alike, so the true difference is zero.
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        correct = rng.binomial(100, rng.beta(8, 2, size=(30, 1)), size=(30, 2))
        a, b = (np.array([[[c, 100 - c], [100 - c, c]] for c in correct[:, run]]) for run in (0, 1))
        low, high = compare(a, b, resamples=400, seed=seed).interval
        covered += low <= 0 <= high
    assert 88 <= covered <= 99


def test_more_draws_than_fit_at_a_time_and_the_seed() -> None:
    a, b = two_runs()
    assert compare(a, b, resamples=1200, seed=1) == compare(a, b, resamples=1200, seed=1)
    assert compare(a, b, resamples=1200, seed=1) != compare(a, b, resamples=1200, seed=2)


def test_runs_on_other_images_are_refused() -> None:
    a, b = two_runs()
    with pytest.raises(InputError, match="image 0 has other ground-truth"):
        compare(a, b[::-1])
    with pytest.raises(InputError, match=r"\(12, 5, 5\) and \(11, 5, 5\)"):
        compare(a, b[1:])
    with pytest.raises(InputError, match="shapes"):
        compare(a[:0], b[:0])
