"""How alike two images are: root mean squared error, structural similarity, feature similarity.

SSIM: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 2004. FSIM and FSIMc: Zhang, Zhang, Mou and Zhang, "FSIM: a feature similarity index for
image quality assessment", IEEE TIP 2011.

Images are [B, 3, H, W] in 0 to 255, RGB; a batch of one is compared with every image of the other batch. All is
computed in float32 on the images' device. Similarities are written as 1 - (x - y)^2 / (x^2 + y^2 + T), which
equals the published (2 x y + T) / (x^2 + y^2 + T) and is exactly 1 for equal images.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from tessella.errors import InputError
from tessella.metrics.phase_congruency import phase_congruency

Images = Float[Tensor, "#batch 3 height width"]
Scores = Float[Tensor, " batch"]
Maps = Float[Tensor, "#batch height width"]

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_T_CONGRUENCY, _T_GRADIENT, _T_COLOUR, _COLOUR_WEIGHT = 0.85, 160, 200, 0.03
_WITHOUT_FEATURES = 1e-6  # mean phase congruency below which there is only rounding


def rmse(a: Images, b: Images) -> Scores:
    """Root of the mean squared difference over channels and pixels, in grey values of 0 to 255.

    Raises InputError where images are not [B, 3, H, W] of one size.
    """
    a, b = _comparable(a, b)
    return (a - b).square().mean((1, 2, 3)).sqrt()


def ssim(a: Images, b: Images) -> Scores:
    """Structural similarity, -1 to 1, of the luminance Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    The mean over the places where the 11x11 Gaussian window (sigma 1.5) lies inside the image, in full
    resolution; K1 = 0.01, K2 = 0.03, L = 255; variances are weighted means, not corrected for the window's size.

    Raises InputError where images are not [B, 3, H, W] of one size, or smaller than the window.
    """
    a, b = _comparable(a, b)
    if min(a.shape[-2:]) < _WINDOW:
        raise InputError(
            f"images are {list(a.shape[-2:])}; SSIM's window needs at least {_WINDOW} pixels each way"
        )
    # Squares of values around zero lose less to rounding; variances do not change.
    grey_a, grey_b = _luminance(a) - 127.5, _luminance(b) - 127.5
    difference = grey_a - grey_b
    mean_a, mean_b = _windowed(grey_a), _windowed(grey_b)
    variances = _windowed(grey_a.square()) - mean_a.square() + (_windowed(grey_b.square()) - mean_b.square())
    variance_of_difference = (_windowed(difference.square()) - _windowed(difference).square()).clamp(min=0)
    mean_a, mean_b = mean_a + 127.5, mean_b + 127.5
    luminance = 1 - (mean_a - mean_b).square() / (mean_a.square() + mean_b.square() + _C1)
    structure = 1 - variance_of_difference / (variances.clamp(min=0) + _C2)
    return (luminance * structure).mean((1, 2))


def fsim(a: Images, b: Images) -> Scores:
    """Feature similarity, 0 to 1, of the luminance: of phase congruency and gradient, weighted by the former.

    Gradient by Scharr's operator with zeros around the image; T1 = 0.85, T2 = 160. Images are first averaged
    down by the ratio of their shorter side to 256 pixels, rounded. Where both are constant, which leaves nothing
    to weight by, all pixels weigh the same.

    Raises InputError where images are not [B, 3, H, W] of one size.
    """
    return _feature_similarity(a, b, with_colour=False)


def fsimc(a: Images, b: Images) -> Scores:
    """`fsim` that also compares the colours I and Q of YIQ; T3 = T4 = 200, lambda = 0.03."""
    return _feature_similarity(a, b, with_colour=True)


def _feature_similarity(a: Images, b: Images, with_colour: bool) -> Scores:
    a, b = _comparable(a, b)
    factor = max(1, int(min(a.shape[-2:]) / 256 + 0.5))
    a, b = (avg_pool2d(images, factor, ceil_mode=True) for images in (a, b))
    grey_a, grey_b = _luminance(a), _luminance(b)
    congruency_a, congruency_b = phase_congruency(grey_a), phase_congruency(grey_b)
    similarity = _similarity(congruency_a, congruency_b, _T_CONGRUENCY)
    similarity = similarity * _similarity(_gradient(grey_a), _gradient(grey_b), _T_GRADIENT)
    if with_colour:
        (i_a, q_a), (i_b, q_b) = _chrominance(a), _chrominance(b)
        colour = _similarity(i_a, i_b, _T_COLOUR) * _similarity(q_a, q_b, _T_COLOUR)
        # Opposite colours can make it negative: the power's real part, as in the published code.
        real_part = torch.where(colour < 0, math.cos(math.pi * _COLOUR_WEIGHT), 1)
        similarity = similarity * colour.abs().pow(_COLOUR_WEIGHT) * real_part
    weight = torch.maximum(congruency_a, congruency_b)
    featureless = weight.mean((1, 2), keepdim=True) < _WITHOUT_FEATURES
    weight = torch.where(featureless, 1, weight)
    return (similarity * weight).sum((1, 2)) / weight.sum((1, 2))


def _comparable(a: Images, b: Images) -> tuple[Images, Images]:
    fits = a.ndim == b.ndim == 4 and a.shape[1:] == b.shape[1:] and a.shape[1] == 3
    if not fits or 0 in a.shape or (len(a) != len(b) and 1 not in (len(a), len(b))):
        raise InputError(
            f"images have shapes {list(a.shape)} and {list(b.shape)}; "
            "give [B, 3, H, W] of one size, as many of each or one of either"
        )
    return a.float(), b.float()


def _luminance(images: Images) -> Maps:
    red, green, blue = images.unbind(1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _chrominance(images: Images) -> tuple[Maps, Maps]:
    red, green, blue = images.unbind(1)
    return 0.596 * red - 0.274 * green - 0.322 * blue, 0.211 * red - 0.523 * green + 0.312 * blue


def _similarity(x: Maps, y: Maps, stabiliser: float) -> Maps:
    return 1 - (x - y).square() / (x.square() + y.square() + stabiliser)


def _windowed(maps: Maps) -> Maps:
    """The Gaussian-weighted mean around each place where the window lies inside."""
    from_centre = torch.arange(_WINDOW, device=maps.device, dtype=maps.dtype) - _WINDOW // 2
    weights = torch.exp(-from_centre.square() / (2 * _SIGMA**2))
    weights /= weights.sum()
    rows = conv2d(maps[:, None], weights.view(1, 1, 1, -1))
    return conv2d(rows, weights.view(1, 1, -1, 1))[:, 0]


def _gradient(maps: Maps) -> Maps:
    """Length of Scharr's gradient, per pixel."""
    to_left = torch.tensor([[3.0, 0, -3], [10, 0, -10], [3, 0, -3]], device=maps.device) / 16
    across, down = conv2d(maps[:, None], torch.stack([to_left, to_left.T])[:, None], padding=1).unbind(1)
    return (across.square() + down.square()).sqrt()
