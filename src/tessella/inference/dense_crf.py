"""Refinement of posteriors by a fully connected CRF: Kraehenbuehl and Koltun, NIPS 2011."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tessella.errors import InputError
from tessella.inference.permutohedral import PermutohedralFilter

Filter = Callable[[np.ndarray], np.ndarray]
"""From values [N, K] to the sums over all pixels weighted by a kernel [N, K]."""


@dataclass(frozen=True)
class DenseCRF:
    """Mean field of a CRF in which every pixel is joined to every other one (algorithm 1 of the paper).

    Two Gaussian kernels, normalised symmetrically, say how much two pixels want the same label (Potts model):

        k(i, j) = w1 exp(-|p_i - p_j|^2 / 2 theta_alpha^2 - |I_i - I_j|^2 / 2 theta_beta^2)
                + w2 exp(-|p_i - p_j|^2 / 2 theta_gamma^2)

    with positions p in pixels and colours I in 0...255. The defaults are those published with DeepLab-v2's
    ResNet-101 on PASCAL VOC (Chen et al. 2018); its authors searched them for each network and data set. As
    in the code of the CRF's authors, a pixel's message to itself is kept. The first kernel's sums over all
    pixels are those of the permutohedral lattice, the second's are cut off at four standard deviations.
    """

    w1: float = 4.0
    theta_alpha: float = 67.0
    theta_beta: float = 3.0
    w2: float = 3.0
    theta_gamma: float = 1.0
    iterations: int = 10

    def __post_init__(self) -> None:
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if value < 0 or (parameter.name.startswith("theta") and value == 0):
                raise InputError(f"{parameter.name}: {value}; give a positive number")

    def __call__(
        self, posteriors: Float[Tensor, "classes height width"], image: UInt8[np.ndarray, "height width 3"]
    ) -> Float[Tensor, "classes height width"]:
        """Refined posteriors [K, H, W], float32, on the device of ``posteriors``; ``image`` is 8-bit RGB.

        Raises InputError where the image is of another size or type.
        """
        classes, height, width = posteriors.shape
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise InputError(
                f"image: {image.dtype} of shape {list(image.shape)}; the CRF needs 8-bit RGB of the "
                f"posteriors' size, {[height, width, 3]}"
            )
        given = posteriors.detach().cpu().float().permute(1, 2, 0).reshape(-1, classes).numpy()
        log_unary = np.log(np.maximum(given, np.finfo(np.float32).tiny))
        kernels = (
            (self.w1, _normalised(self._bilateral_filter(image), height * width)),
            (self.w2, _normalised(self._spatial_filter(height, width), height * width)),
        )
        refined = given
        for _ in range(self.iterations):
            messages = sum(weight * kernel(refined) for weight, kernel in kernels)
            refined = torch.from_numpy(log_unary + messages).softmax(1).numpy()
        return torch.tensor(refined.T.reshape(classes, height, width), device=posteriors.device)

    def _bilateral_filter(self, image: np.ndarray) -> Filter:
        height, width, _ = image.shape
        features = np.empty((height, width, 5), np.float32)
        features[..., 0] = np.arange(width) / self.theta_alpha
        features[..., 1] = np.arange(height)[:, None] / self.theta_alpha
        features[..., 2:] = image / self.theta_beta
        return PermutohedralFilter(features.reshape(-1, 5))

    def _spatial_filter(self, height: int, width: int) -> Filter:
        radius = int(np.ceil(4 * self.theta_gamma))
        taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.theta_gamma) ** 2).astype(np.float32)

        def blur(values: np.ndarray) -> np.ndarray:
            planes = np.ascontiguousarray(values.T).reshape(-1, height, width)
            for plane in planes:
                cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, dst=plane, borderType=cv2.BORDER_CONSTANT)
            return planes.reshape(len(planes), -1).T

        return blur


def _normalised(kernel: Filter, pixels: int) -> Filter:
    """The kernel between 1/sqrt of its sums over all pixels, so that border and middle count alike."""
    scale = 1 / np.sqrt(kernel(np.ones((pixels, 1), np.float32)))
    return lambda values: scale * kernel(scale * values)
