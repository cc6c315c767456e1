import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import BoundaryPrecisionRecall, boundary_strength, label_boundaries
from tessella.metrics.boundary import match_boundaries, thinned


def best_matching(predicted: list[tuple[int, int]], true: list[tuple[int, int]], radius: float) -> int:
    """Try every partner of the first predicted pixel, and none."""
    if not predicted or not true:
        return 0
    (row, column), rest = predicted[0], predicted[1:]
    best = best_matching(rest, true, radius)
    for i, (r, c) in enumerate(true):
        if math.hypot(row - r, column - c) <= radius:
            best = max(best, 1 + best_matching(rest, true[:i] + true[i + 1 :], radius))
    return best


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**31), radius=st.sampled_from([0.0, 0.9, 1.0, 1.5, 2.0, 2.9]))
def test_matching_is_the_best_there_is(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, true = np.zeros((2, 5, 6), dtype=bool)
    predicted.flat[rng.choice(30, rng.integers(0, 8), replace=False)] = True
    true.flat[rng.choice(30, rng.integers(0, 7), replace=False)] = True
    pixels = ([(int(r), int(c)) for r, c in np.argwhere(image)] for image in (predicted, true))
    assert match_boundaries(predicted, true, radius) == best_matching(*pixels, radius)


def test_matching_is_better_than_greedy_and_one_to_one() -> None:
    # The middle true pixel is nearest to both predicted ones, but the left has another partner.
    predicted = np.array([[False, True, False, True, False]])
    true = np.array([[True, False, True, False, False]])
    assert match_boundaries(predicted, true, 1) == 2
    assert match_boundaries(np.ones((1, 5), dtype=bool), true, 5) == 2


def test_many_pixels_with_many_partners_all_match() -> None:
    true = np.random.default_rng(0).random((60, 80)) < 0.15
    moved = np.roll(true, 1, axis=1)
    moved[:, 0] = False
    assert match_boundaries(moved, true, radius=4.5) == moved.sum()


def halves(width: int = 40, height: int = 30, edge: int = 20) -> Tensor:
    labels = torch.zeros(1, height, width, dtype=torch.int64)
    labels[..., edge:] = 1
    return labels


def one_hot(labels: Tensor, num_classes: int = 3) -> Tensor:
    return torch.nn.functional.one_hot(labels, num_classes).movedim(-1, -3).float()


def test_strength_equals_a_naive_loop() -> None:
    posteriors = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).softmax(1)
    strength = boundary_strength(posteriors)
    for b in range(2):
        for y in range(4):
            for x in range(5):
                neighbours = [(y + 1, x)] * (y < 3) + [(y, x + 1)] * (x < 4)
                expected = max(
                    (
                        abs(float(posteriors[b, k, y, x] - posteriors[b, k, v, u]))
                        for v, u in neighbours
                        for k in range(3)
                    ),
                    default=0,
                )
                assert strength[b, y, x].item() == pytest.approx(expected)


def test_label_boundaries_are_the_strength_of_certain_posteriors_and_leave_ignored_pixels_out() -> None:
    labels = torch.randint(0, 3, (2, 6, 7), generator=torch.Generator().manual_seed(1))
    assert torch.equal(label_boundaries(labels).float(), boundary_strength(one_hot(labels)))
    labels = torch.tensor([[0, 255, 1, 1], [0, 0, 1, 2]])
    assert label_boundaries(labels).tolist() == [[False, False, False, True], [False, True, True, False]]


def test_a_perfect_prediction_scores_one() -> None:
    labels = torch.from_numpy(
        np.kron(np.random.default_rng(0).integers(0, 3, (2, 6, 8)), np.ones((1, 7, 7), np.int64))
    )
    for strength in (boundary_strength(one_hot(labels)), label_boundaries(labels)):
        curve = BoundaryPrecisionRecall()
        curve.update(strength, labels)
        scores = curve.compute()
        assert scores.average_precision == 1
        assert scores.best_f == 1
        assert (scores.precision == 1).all()
        assert (scores.recall == 1).all()


@pytest.mark.parametrize(("shift", "found"), [(0, True), (2, True), (3, True), (4, False), (10, False)])
def test_the_tolerance_is_a_share_of_the_diagonal(shift: int, found: bool) -> None:
    # The diagonal of 40x30 is 50 pixels: 0.07 of it are 3.5.
    curve = BoundaryPrecisionRecall(tolerance=0.07)
    curve.update(boundary_strength(one_hot(halves(edge=20 + shift))), halves())
    assert curve.compute().average_precision == found


def test_by_hand() -> None:
    # The true edge is found with strength 0.6 in half of the rows; a false edge of strength 0.3 runs along
    # all rows.
    strength = torch.zeros(1, 30, 40)
    strength[0, :15, 19] = 0.6
    strength[0, :, 5] = 0.3
    curve = BoundaryPrecisionRecall(thresholds=[0.2, 0.5, 0.9])
    curve.update(strength, halves())
    scores = curve.compute()
    # Guo and Hall's thinning leaves straight lines as they are; 15 true pixels are matched in every case,
    # and the tolerance of 0.375 pixels reaches no other.
    assert scores.precision.tolist() == pytest.approx([15 / 45, 1, math.nan], nan_ok=True)
    assert scores.recall.tolist() == pytest.approx([15 / 30, 15 / 30, 0])
    assert scores.average_precision == pytest.approx(0.5)
    assert scores.best_f == pytest.approx(2 * 0.5 / 1.5)
    assert scores.best_threshold == 0.5


def test_a_wide_soft_boundary_is_thinned_to_its_middle() -> None:
    ramp = torch.linspace(-2, 2, 40).expand(1, 30, 40)
    posteriors = torch.stack([ramp.neg(), ramp], dim=1).mul(3).softmax(1)
    strength = boundary_strength(posteriors)
    assert (strength[0, 15] > 0.05).sum() == 7
    line = thinned((strength[0] > 0.05).numpy())
    middle = line[10:20]  # forks at the border of the picture are in the nature of thinning
    assert (middle.sum(axis=1) == 1).all()
    assert (np.abs(np.argwhere(middle)[:, 1] - 19) <= 1).all()
    curve = BoundaryPrecisionRecall(thresholds=[0.05], tolerance=0.07)
    curve.update(strength, halves())
    assert curve.compute().recall.item() == 1


def test_predictions_in_and_beside_ignored_pixels_do_not_count() -> None:
    target = halves()
    target[:, :, 8:12] = 255
    strength = boundary_strength(one_hot(halves())) + boundary_strength(one_hot(halves(edge=10)))
    strength += boundary_strength(one_hot(halves(edge=8))) + boundary_strength(one_hot(halves(edge=12)))
    curve = BoundaryPrecisionRecall()
    curve.update(strength, target)
    assert curve.compute().average_precision == 1


def test_images_batches_and_merges_add_up() -> None:
    generator = torch.Generator().manual_seed(2)
    posteriors = (
        torch.nn.functional.interpolate(
            torch.randn(3, 3, 6, 8, generator=generator), size=(48, 64), mode="bilinear"
        )
        .mul(4)
        .softmax(1)
    )
    target = torch.nn.functional.interpolate(
        torch.randint(0, 3, (3, 1, 6, 8), generator=generator).float(), size=(48, 64)
    )[:, 0].long()
    whole, first, second = (BoundaryPrecisionRecall() for _ in range(3))
    strength = boundary_strength(posteriors)
    whole.update(strength, target)
    first.update(strength[:1], target[:1])
    second.update(strength[1:], target[1:])
    first.merge(second)
    for counts in ("matched", "predicted", "true"):
        assert torch.equal(getattr(first, counts), getattr(whole, counts))
        assert torch.equal(getattr(first.all_reduce(), counts), getattr(whole, counts))
    assert (whole.matched <= whole.predicted).all()
    assert (whole.matched <= whole.true).all()
    scores = whole.compute()
    assert 0 < scores.average_precision <= 1
    first.reset()
    assert first.true == 0


def test_permuting_classes_keeps_the_score() -> None:
    posteriors = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(3)).softmax(1)
    assert torch.equal(boundary_strength(posteriors), boundary_strength(posteriors[:, [2, 0, 1]]))


def test_nothing_to_find() -> None:
    curve = BoundaryPrecisionRecall()
    curve.update(boundary_strength(one_hot(halves())), torch.zeros(1, 30, 40, dtype=torch.int64))
    scores = curve.compute()
    assert math.isnan(scores.average_precision)
    assert math.isnan(scores.best_f)
    assert (scores.precision == 0).all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"\(1, 3, 30, 40\), target \(1, 30, 40\)"):
        BoundaryPrecisionRecall().update(one_hot(halves()), halves())
    with pytest.raises(InputError, match="all above 0"):
        BoundaryPrecisionRecall(thresholds=[0, 0.5])
    with pytest.raises(InputError, match="different thresholds"):
        BoundaryPrecisionRecall().merge(BoundaryPrecisionRecall([0.5]))
    with pytest.raises(InputError, match="different tolerance"):
        BoundaryPrecisionRecall().merge(BoundaryPrecisionRecall(tolerance=0.01))
    with pytest.raises(InputError, match="different ignore_index"):
        BoundaryPrecisionRecall().merge(BoundaryPrecisionRecall(ignore_index=0))


def test_thresholds_as_an_array() -> None:
    assert BoundaryPrecisionRecall(np.array([0.5, 0.1])).compute().thresholds.tolist() == [0.1, 0.5]
    with pytest.raises(InputError, match="give at least one"):
        BoundaryPrecisionRecall(np.array([]))
