"""Similarities against naive references, other packages' numbers and what the definitions promise."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from tests.metrics.naive_phase_congruency import naive_phase_congruency
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import fsim, fsimc, rmse, ssim

SIMILARITIES = [ssim, fsim, fsimc]


def noisy_pairs(height: int, width: int, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(count, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    a = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    b = (a + 25 * torch.randn(a.shape, generator=generator)).clamp(0, 255)
    return a, b


def formula_pair() -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    red = 127 + 60 * torch.sin(x / 3 + y / 9) + 40 * (x > 30)
    a = torch.stack([red, 120 + 70 * torch.cos(x * y / 150), 2 * x + y + 30 * (y > 20)])
    ripple = 25 * torch.sin(1.7 * x) * torch.cos(1.3 * y + x / 5)
    b = a.roll(1, dims=2) + torch.stack([ripple, -ripple, ripple / 2])
    return a[None].clamp(0, 255), b[None].clamp(0, 255)


def naive_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """A loop over windows of one pair of luminances."""
    from_centre = np.arange(-5, 6)
    window = np.exp(-(from_centre[:, None] ** 2 + from_centre**2) / (2 * 1.5**2))
    window /= window.sum()
    scores = []
    for row, column in np.ndindex(a.shape[0] - 10, a.shape[1] - 10):
        x, y = (image[row : row + 11, column : column + 11] for image in (a, b))
        mean_x, mean_y = (window * x).sum(), (window * y).sum()
        variance_x = (window * (x - mean_x) ** 2).sum()
        variance_y = (window * (y - mean_y) ** 2).sum()
        covariance = (window * (x - mean_x) * (y - mean_y)).sum()
        means = (2 * mean_x * mean_y + 2.55**2) / (mean_x**2 + mean_y**2 + 2.55**2)
        scores.append(means * (2 * covariance + 7.65**2) / (variance_x + variance_y + 7.65**2))
    return float(np.mean(scores))


def naive_fsim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """FSIM and FSIMc of one pair [3, H, W] that needs no averaging down, as the paper writes them."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    yiq_a, yiq_b = (np.tensordot(to_yiq, image, 1) for image in (a, b))
    scharr = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16

    def gradient(grey: np.ndarray) -> np.ndarray:
        across, down = (convolve(grey, kernel, mode="constant") for kernel in (scharr, scharr.T))
        return np.hypot(across, down)

    def similarity(x: np.ndarray, y: np.ndarray, stabiliser: float) -> np.ndarray:
        return (2 * x * y + stabiliser) / (x**2 + y**2 + stabiliser)

    congruency_a, congruency_b = naive_phase_congruency(yiq_a[0]), naive_phase_congruency(yiq_b[0])
    similar = similarity(congruency_a, congruency_b, 0.85)
    similar = similar * similarity(gradient(yiq_a[0]), gradient(yiq_b[0]), 160)
    colour = similarity(yiq_a[1], yiq_b[1], 200) * similarity(yiq_a[2], yiq_b[2], 200)
    weight = np.maximum(congruency_a, congruency_b)
    with_colour = similar * (colour.astype(complex) ** 0.03).real
    return float(np.average(similar, weights=weight)), float(np.average(with_colour, weights=weight))


def test_rmse_by_hand() -> None:
    a = torch.zeros(2, 3, 4, 5)
    b = torch.zeros(2, 3, 4, 5)
    b[0] = 3
    b[1, 0] = 6  # one channel of three
    assert rmse(a, b).tolist() == pytest.approx([3, math.sqrt(12)])
    assert rmse(b, b).tolist() == [0, 0]


def test_ssim_as_a_loop_over_windows() -> None:
    a, b = noisy_pairs(20, 23)
    grey_a, grey_b = (np.einsum("bchw,c->bhw", x.double(), [0.299, 0.587, 0.114]) for x in (a, b))
    expected = [naive_ssim(x, y) for x, y in zip(grey_a, grey_b, strict=True)]
    assert ssim(a, b).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(40, 56), (41, 56), (35, 33)])
def test_fsim_as_the_paper_writes_it(height: int, width: int) -> None:
    a, b = noisy_pairs(height, width)
    expected = [naive_fsim(x.double().numpy(), y.double().numpy()) for x, y in zip(a, b, strict=True)]
    assert fsim(a, b).tolist() == pytest.approx([score for score, _ in expected], abs=1e-6)
    assert fsimc(a, b).tolist() == pytest.approx([score for _, score in expected], abs=1e-6)


def test_numbers_of_other_packages() -> None:
    """scikit-image 0.26.0 (Gaussian weights, population covariance) and piq 0.8.0, on these images in float64.

    piq differs in epsilon and in the median of even numbers (below 1e-5); for colour it has another rounding of the
    YIQ matrix, and takes the absolute value where a product of similarities is negative (4% of these pixels).
    """
    a, b = formula_pair()
    assert ssim(a, b).item() == pytest.approx(0.9316792868896732, abs=1e-6)
    assert fsim(a, b).item() == pytest.approx(0.9537163167286947, abs=1e-5)
    assert fsimc(a, b).item() == pytest.approx(0.9398688995625613, abs=2e-4)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equal_images_are_exactly_one(similarity) -> None:
    a, _ = noisy_pairs(37, 50, count=3)
    assert similarity(a, a.clone()).tolist() == [1, 1, 1]
    assert similarity(a, a[1:2])[1].item() == 1


@pytest.mark.parametrize("similarity", [rmse, *SIMILARITIES])
def test_symmetric_and_each_image_for_itself(similarity) -> None:
    a, b = noisy_pairs(37, 50, count=3)
    scores = similarity(a, b)
    assert torch.equal(scores, similarity(b, a))
    alone = torch.cat([similarity(x[None], y[None]) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(scores, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("similarity", [rmse, *SIMILARITIES])
def test_one_image_against_a_batch(similarity) -> None:
    a, b = noisy_pairs(37, 50, count=3)
    expected = similarity(a, b[:1].expand_as(a))
    torch.testing.assert_close(similarity(a, b[:1]), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(similarity(b[:1], a), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_falls_with_noise(similarity) -> None:
    a, _ = noisy_pairs(64, 64, count=1)
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    scores = torch.cat([similarity(a, a + strength * noise) for strength in (0, 5, 15, 45)])
    assert (scores.diff() < -0.005).all()


@pytest.mark.parametrize("value", [0, 77.3, 255])
def test_constant_images(value: float) -> None:
    """No feature anywhere: all that is left is luminance, and the gradient at the zeros around the image."""
    constant = torch.full((1, 3, 40, 41), value)
    varied, _ = noisy_pairs(40, 41, count=1)
    for similarity in SIMILARITIES:
        assert similarity(constant, constant).item() == 1
        assert 0 < similarity(constant, varied).item() < 0.9
    other = torch.full_like(constant, 100)
    expected = (2 * value * 100 + 2.55**2) / (value**2 + 100**2 + 2.55**2)
    assert ssim(constant, other).item() == pytest.approx(expected, abs=1e-5)
    assert 0.8 < fsim(constant, other).item() < 1


def test_fsimc_sees_colours_that_fsim_does_not() -> None:
    a, _ = noisy_pairs(40, 40, count=1)
    # Along (0.587, -0.299, 0) the luminance stays.
    b = a + 60 * torch.tensor([0.587, -0.299, 0]).view(3, 1, 1)
    assert fsim(a, b).item() == pytest.approx(1, abs=1e-5)
    assert fsimc(a, b).item() < 0.999


def test_large_images_are_averaged_down() -> None:
    a, b = noisy_pairs(64, 48, count=1)
    # 384 pixels are averaged to half; each pixel is there eight times each way, so nothing mixes.
    large_a, large_b = (x.repeat_interleave(8, 2).repeat_interleave(8, 3) for x in (a, b))
    halved_a, halved_b = (x[..., ::2, ::2] for x in (large_a, large_b))
    assert fsim(large_a, large_b).item() == pytest.approx(fsim(halved_a, halved_b).item(), abs=1e-6)


def test_bytes_and_half_precision() -> None:
    a, b = (x.round() for x in noisy_pairs(32, 40))
    for similarity in [rmse, *SIMILARITIES]:
        assert torch.equal(similarity(a.byte(), b.byte()), similarity(a, b))
        assert similarity(a.half(), b.half()).dtype == torch.float32


def test_bad_input() -> None:
    a, b = noisy_pairs(32, 40)
    with pytest.raises(
        InputError, match=r"\[2, 3, 32, 40\] and \[2, 3, 32, 39\]; give \[B, 3, H, W\] of one size"
    ):
        rmse(a, b[..., 1:])
    with pytest.raises(InputError, match=r"give \[B, 3, H, W\]"):
        fsim(a[:, :1], b[:, :1])
    with pytest.raises(InputError, match="as many of each or one of either"):
        fsimc(torch.cat([a, a]), b)
    with pytest.raises(InputError, match=r"give \[B, 3, H, W\]"):
        ssim(a[:0], b[:0])
    with pytest.raises(InputError, match=r"images are \[10, 40\]; SSIM's window needs at least 11"):
        ssim(a[:, :, :10], b[:, :, :10])
