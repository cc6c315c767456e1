"""Phase congruency of one image, one filter after the other, in float64: what the tests compare with."""

import math

import numpy as np


def frequencies(size: int) -> np.ndarray:
    if size % 2:
        return np.arange(-(size - 1) // 2, (size - 1) // 2 + 1) / (size - 1)
    return np.arange(-size // 2, size // 2) / size


def naive_phase_congruency(grey: np.ndarray) -> np.ndarray:
    height, width = grey.shape
    spectrum = np.fft.fft2(grey)
    energy, amplitudes = np.zeros(grey.shape), np.zeros(grey.shape)
    for orientation in range(4):
        angle = orientation * math.pi / 4
        filters, responses = [], []
        for scale in range(4):
            centre = 1 / (6 * 2**scale)
            transfer = np.zeros(grey.shape)
            for row, fy in enumerate(frequencies(height)):
                for column, fx in enumerate(frequencies(width)):
                    radius = math.hypot(fx, fy)
                    if radius == 0:
                        continue
                    low_pass = 1 / (1 + (radius / 0.45) ** 30)
                    radial = (
                        math.exp(-(math.log(radius / centre) ** 2) / (2 * math.log(0.55) ** 2)) * low_pass
                    )
                    apart = abs(math.atan2(-fy, fx) - angle)
                    apart = min(apart, 2 * math.pi - apart)
                    transfer[row, column] = radial * math.exp(-(apart**2) / (2 * (math.pi / 4 / 1.2) ** 2))
            filters.append(np.fft.ifftshift(transfer))
            responses.append(np.fft.ifft2(spectrum * filters[-1]))

        total = sum(responses)
        mean_phase = total / (np.abs(total) + 1e-4)
        in_phase = np.zeros(grey.shape)
        for response in responses:
            aligned = response * mean_phase.conj()
            in_phase += aligned.real - np.abs(aligned.imag)
            amplitudes += np.abs(response)

        # Expected energy of noise: squares and products of the kernels, as Kovesi derives them.
        kernels = [np.fft.ifft2(transfer).real * math.sqrt(grey.size) for transfer in filters]
        noise_power = np.median(np.abs(responses[0]) ** 2) / math.log(2) / (filters[0] ** 2).sum()
        squares = sum((kernel**2).sum() for kernel in kernels)
        products = sum((kernels[i] * kernels[j]).sum() for j in range(4) for i in range(j))
        tau = math.sqrt((2 * noise_power * squares + 4 * noise_power * products) / 2)
        threshold = (tau * math.sqrt(math.pi / 2) + 2 * tau * math.sqrt(2 - math.pi / 2)) / 1.7
        energy += np.maximum(in_phase - threshold, 0)
    return energy / (amplitudes + 1e-4)
