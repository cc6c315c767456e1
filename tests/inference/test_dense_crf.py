import numpy as np
import pytest
import torch
from scipy.special import softmax

from tessella.errors import InputError
from tessella.inference import DenseCRF


def two_regions(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a bright region with a slanted border and noise, and the labels of the regions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    labels = (x + y // 2 > width * 0.7).astype(np.uint8)
    image = np.where(labels[..., None], (190, 170, 150), (60, 80, 70)) + rng.normal(0, 6, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), labels


def noisy_posteriors(labels: np.ndarray, classes: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (classes, *labels.shape))
    np.put_along_axis(logits, labels[None].astype(int), 1.0, axis=0)
    return torch.tensor(softmax(logits, axis=0), dtype=torch.float32)


def dense_mean_field(crf: DenseCRF, posteriors: torch.Tensor, image: np.ndarray) -> np.ndarray:
    """The same mean field with both kernels between all pairs of pixels written out, in double precision."""
    classes, height, width = posteriors.shape
    positions = np.mgrid[:height, :width].reshape(2, -1).T.astype(float)
    colors = image.reshape(-1, 3).astype(float)

    def gaussian(points: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * ((points[:, None] - points) ** 2).sum(2))

    def normalised(kernel: np.ndarray) -> np.ndarray:
        scale = 1 / np.sqrt(kernel.sum(1))
        return scale[:, None] * kernel * scale

    appearance = normalised(gaussian(np.hstack([positions / crf.theta_alpha, colors / crf.theta_beta])))
    smoothness = normalised(gaussian(positions / crf.theta_gamma))
    given = posteriors.double().numpy().reshape(classes, -1).T
    refined = given
    for _ in range(crf.iterations):
        unlike = 1 - np.eye(classes)  # Potts: a neighbour speaks against all labels but its own
        energy = (crf.w1 * appearance @ refined + crf.w2 * smoothness @ refined) @ unlike
        refined = softmax(np.log(given) - energy, axis=1)
    return refined.T.reshape(classes, height, width)


@pytest.mark.parametrize(
    "crf",
    [
        DenseCRF(),
        DenseCRF(theta_alpha=10.0, theta_beta=10.0, theta_gamma=3.0),
        DenseCRF(theta_alpha=30.0, theta_beta=20.0),
    ],
    ids=["defaults", "short", "wide"],
)
def test_is_close_to_the_mean_field_between_all_pairs(crf: DenseCRF) -> None:
    image, labels = two_regions(30, 40)
    given = noisy_posteriors(labels, 4)
    exact = dense_mean_field(crf, given, image)
    refined = crf(given, image).numpy()
    assert np.abs(refined - exact).mean() < 0.02
    assert np.abs(refined - exact).mean() < 0.1 * np.abs(given.numpy() - exact).mean()
    assert (refined.argmax(0) == exact.argmax(0)).mean() > 0.97


def test_the_smoothness_kernel_alone_is_exact() -> None:
    image, labels = two_regions(17, 23)
    crf, given = DenseCRF(w1=0.0, theta_gamma=2.5, iterations=3), noisy_posteriors(labels, 3)
    np.testing.assert_allclose(crf(given, image).numpy(), dense_mean_field(crf, given, image), atol=2e-3)


def test_noise_goes_and_the_border_of_the_image_stays() -> None:
    image, labels = two_regions(60, 80)
    given = noisy_posteriors(labels, 3)
    refined = DenseCRF()(given, image)
    accuracy = [(posteriors.argmax(0).numpy() == labels).mean() for posteriors in (given, refined)]
    assert accuracy[0] < 0.8
    assert accuracy[1] > 0.99


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 2)])
def test_any_size_gives_posteriors(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    refined = DenseCRF()(torch.randn(150, *size).softmax(0), image)
    assert refined.dtype == torch.float32
    torch.testing.assert_close(refined.sum(0), torch.ones(size))


def test_without_weights_or_iterations_nothing_changes() -> None:
    image, labels = two_regions(12, 14)
    given = noisy_posteriors(labels, 3)
    torch.testing.assert_close(DenseCRF(w1=0.0, w2=0.0)(given, image), given)
    torch.testing.assert_close(DenseCRF(iterations=0)(given, image), given)


def test_certain_posteriors_stay_finite() -> None:
    image, labels = two_regions(12, 14)
    certain = torch.stack([torch.tensor(labels == 0), torch.tensor(labels == 1)]).float()
    refined = DenseCRF()(certain, image)
    assert refined.isfinite().all()
    np.testing.assert_array_equal(refined.argmax(0).numpy(), labels)


def test_wrong_images_and_parameters_are_named() -> None:
    with pytest.raises(InputError, match=r"^image: uint16 of shape \[4, 5, 3\]; the CRF needs 8-bit RGB"):
        DenseCRF()(torch.ones(2, 4, 5) / 2, np.zeros((4, 5, 3), np.uint16))
    with pytest.raises(InputError, match=r"^theta_beta: 0.0; give a positive number$"):
        DenseCRF(theta_beta=0.0)
