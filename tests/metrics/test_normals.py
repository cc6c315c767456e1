"""Angles of normals against arc cosines in float64, angles that are known, and scores by NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import NormalScores, normal_errors, normal_scores


def random_normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_as_arc_cosines_in_the_order_of_pixels() -> None:
    predicted, true = random_normals(0, 2, 4, 3, 5, 6), random_normals(1, 2, 4, 3, 5, 6)
    expected = []
    for batch, view, row, column in np.ndindex(2, 4, 5, 6):
        p, t = (normals[batch, view, :, row, column].double().numpy() for normals in (predicted, true))
        cosine = p @ t / np.linalg.norm(p) / np.linalg.norm(t)
        expected.append(math.degrees(math.acos(cosine)))
    assert normal_errors(predicted, true).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("degrees", [0, 0.001, 0.02, 11.25, 90, 179.99, 180])
@pytest.mark.parametrize("length", [1e-30, 1, 1e30])
def test_known_angles_at_any_length(degrees: float, length: float) -> None:
    angle = math.radians(degrees)
    true = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
    predicted = length * torch.tensor([math.sin(angle), 0.0, math.cos(angle)]).view(3, 1, 1)
    assert normal_errors(predicted, true).item() == pytest.approx(degrees, abs=2e-5)
    assert normal_errors(true, predicted).item() == pytest.approx(degrees, abs=2e-5)


def test_what_does_not_count() -> None:
    true, predicted = random_normals(0, 3, 2, 3), random_normals(1, 3, 2, 3)
    all_angles = normal_errors(predicted, true)
    valid = torch.tensor([[True, False, True], [True, True, True]])
    true[:, 0, 1] = math.nan  # not valid
    true[:, 1, 0] = 0
    predicted[:, 1, 2] = 0
    assert torch.equal(normal_errors(predicted, true, valid), all_angles[[0, 2, 4]])
    assert normal_errors(predicted, true, torch.zeros_like(valid)).shape == (0,)


def test_turning_both_keeps_the_angles() -> None:
    predicted, true = random_normals(0, 3, 8, 9), random_normals(1, 3, 8, 9)
    turn = torch.linalg.qr(random_normals(2, 3, 3)).Q
    turned = [torch.einsum("ij,jhw->ihw", turn, normals) for normals in (predicted, true)]
    torch.testing.assert_close(normal_errors(*turned), normal_errors(predicted, true), rtol=0, atol=1e-3)


@pytest.mark.parametrize("count", [1, 6, 7])
def test_scores_as_numpy_computes_them(count: int) -> None:
    angles = 60 * torch.rand(count, generator=torch.Generator().manual_seed(count))
    values = angles.double().numpy()
    scores = normal_scores(angles)
    assert scores.mean == pytest.approx(values.mean())
    assert scores.median == pytest.approx(np.median(values))
    assert scores.rmse == pytest.approx(math.sqrt((values**2).mean()))
    for share, limit in ((scores.within_11_25, 11.25), (scores.within_22_5, 22.5), (scores.within_30, 30)):
        assert share == pytest.approx((values < limit).mean())


def test_scores_by_hand() -> None:
    scores = normal_scores(torch.tensor([0.0, 11.25, 22.0, 30.0]))
    assert scores == NormalScores(
        mean=15.8125,
        median=16.625,
        rmse=pytest.approx(math.sqrt((11.25**2 + 22**2 + 30**2) / 4)),
        within_11_25=0.25,  # smaller than 11.25, as published evaluations count
        within_22_5=0.75,
        within_30=0.75,
    )


def test_no_pixel_is_undefined() -> None:
    scores = normal_scores(torch.empty(0))
    assert all(math.isnan(value) for value in vars(scores).values())


def test_bad_input() -> None:
    normals = random_normals(0, 2, 3, 4, 5)
    with pytest.raises(
        InputError, match=r"\[2, 3, 4, 4\] and \[2, 3, 4, 5\]; give \[\.\.\., 3, H, W\] of one size"
    ):
        normal_errors(normals[..., 1:], normals)
    with pytest.raises(InputError, match=r"give \[\.\.\., 3, H, W\]"):
        normal_errors(normals[:, :2], normals[:, :2])
    with pytest.raises(InputError, match=r"valid is torch\.bool of shape \[4, 5\]; .* shape \[2, 4, 5\]"):
        normal_errors(normals, normals, torch.ones(4, 5, dtype=torch.bool))
    with pytest.raises(InputError, match=r"valid is torch\.float32"):
        normal_errors(normals, normals, torch.ones(2, 4, 5))
    broken = normals.clone()
    broken[1, 0, 2, 3] = math.inf
    with pytest.raises(InputError, match=r"predicted normals are not finite.*leave these out by `valid`"):
        normal_errors(broken, normals)
    with pytest.raises(InputError, match="true normals are not finite"):
        normal_errors(normals, broken)
