"""Phase congruency: how well an image's Fourier components agree in phase at a pixel, at any contrast.

Kovesi, "Image features from phase congruency", Videre 1999, in the form that FSIM uses (Zhang, Zhang, Mou and
Zhang, IEEE TIP 2011), without a weight for the spread of frequencies. With the complex responses e_so of
log-Gabor filters of scale s and orientation o,

    PC = sum_o max(E_o - T_o, 0) / (epsilon + sum_so |e_so|)
    E_o = sum_s (Re(m_o* e_so) - |Im(m_o* e_so)|),    m_o = sum_s e_so / |sum_s e_so|

T_o is what noise alone would reach, from the median response at the finest scale.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

SCALES, ORIENTATIONS = 4, 4
_MIN_WAVELENGTH, _MULTIPLE = 6, 2  # pixels; from scale to scale
_SIGMA_ON_FREQUENCY = 0.55  # of a log-Gabor's spread over its centre
_SPACING_ON_SIGMA = 1.2  # angle between orientations over the angular spread
_CUTOFF, _SHARPNESS = 0.45, 15  # of the Butterworth low-pass that keeps the corners of the spectrum out
_NOISE_DEVIATIONS = 2.0
_NOISE_SCALE = (
    1.7  # by which the published code divides the threshold: filters overlap, noise does not add up
)
_EPSILON = 1e-4
_VALUES_AT_A_TIME = 2**20  # complex responses, 8 MB: near the cache of a core, enough to fill a GPU


def phase_congruency(luminance: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    """In [0, 1) for each pixel of grey images in 0 to 255; 0 where an image is constant.

    4 scales from a wavelength of 6 pixels on, doubling, and 4 orientations; images wrap around at their edges.
    """
    height, width = luminance.shape[-2:]
    filters = log_gabor_filters(height, width, luminance.device)
    per_image = ORIENTATIONS * SCALES * height * width
    # No filter passes the mean; without it, rounding in the transform is far below epsilon.
    centred = luminance.float() - luminance.float().mean((-2, -1), keepdim=True)
    chunks = centred.split(max(1, _VALUES_AT_A_TIME // per_image))
    return torch.cat([_congruency(chunk, filters) for chunk in chunks])


def log_gabor_filters(
    height: int, width: int, device: torch.device
) -> Float[Tensor, "orientations scales height width"]:
    """The filters' transfer functions, zero frequency first; orientation o is o / 4 of half a turn."""
    down, right = torch.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius, theta = torch.hypot(right, down), torch.atan2(-down, right)
    low_pass = 1 / (1 + (radius / _CUTOFF) ** (2 * _SHARPNESS))
    radius[0, 0] = 1

    scale = torch.arange(SCALES, dtype=torch.float64).view(-1, 1, 1)
    wavelength = _MIN_WAVELENGTH * _MULTIPLE**scale
    log_ratio = torch.log(radius * wavelength)
    radial = torch.exp(-(log_ratio**2) / (2 * math.log(_SIGMA_ON_FREQUENCY) ** 2)) * low_pass
    radial[:, 0, 0] = 0

    angle = math.pi / ORIENTATIONS * torch.arange(ORIENTATIONS, dtype=torch.float64).view(-1, 1, 1, 1)
    apart = torch.atan2(torch.sin(theta - angle), torch.cos(theta - angle))
    sigma = math.pi / ORIENTATIONS / _SPACING_ON_SIGMA
    return (radial * torch.exp(-(apart**2) / (2 * sigma**2))).to(device, torch.float32)


def _frequencies(size: int) -> Float[Tensor, " size"]:
    """In cycles per pixel, zero first. Kovesi divides by an odd size less one, so that both ends are at half."""
    places = torch.fft.ifftshift(torch.arange(size, dtype=torch.float64) - size // 2)
    return places / max(size - size % 2, 1)


def _congruency(
    centred: Float[Tensor, "batch height width"], filters: Float[Tensor, "orientations scales height width"]
) -> Float[Tensor, "batch height width"]:
    spectrum = torch.fft.fft2(centred)[:, None, None]
    response = torch.view_as_real(torch.fft.ifft2(spectrum * filters))
    even, odd = response.unbind(-1)  # batch orientations scales height width
    power = even.square() + odd.square()

    even_sum, odd_sum = even.sum(2), odd.sum(2)
    squared = even_sum.square() + odd_sum.square()
    strength = squared.sqrt() + _EPSILON
    # Re summed over scales is the squared length of the sum.
    off_phase = (even * odd_sum.unsqueeze(2) - odd * even_sum.unsqueeze(2)).abs_().sum(2)
    energy = (squared - off_phase) / strength

    threshold = _noise_threshold(power[:, :, 0], filters)
    above = (energy - threshold[..., None, None]).clamp_(min=0)
    return above.sum(1) / (power.sqrt_().sum((1, 2)) + _EPSILON)


def _noise_threshold(
    finest_power: Float[Tensor, "batch orientations height width"],
    filters: Float[Tensor, "orientations scales height width"],
) -> Float[Tensor, "batch orientations"]:
    """Mean plus 2 standard deviations of the energy of white noise as strong as the finest scale's median says."""
    flat = finest_power.flatten(2)
    # The mean of both middle values where their number is even; `median` takes the lower.
    median = (flat.median(-1).values - (-flat).median(-1).values) / 2
    noise_power = median / math.log(2) / filters[:, 0].square().sum((1, 2))
    summed_kernel = torch.fft.ifft2(filters.sum(1)).real
    gain = summed_kernel.square().sum((1, 2)) * summed_kernel[0].numel()
    rayleigh = (noise_power * gain).sqrt()  # the energy of noise has a Rayleigh distribution of this scale
    mean, deviation = math.sqrt(math.pi / 2), math.sqrt(2 - math.pi / 2)
    return rayleigh * (mean + _NOISE_DEVIATIONS * deviation) / _NOISE_SCALE
