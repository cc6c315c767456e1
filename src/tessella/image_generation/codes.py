"""Dropout that a stored latent code decides, at training and at inference alike (thesis, equations 5.2 and 5.3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from tessella.errors import InputError


def require_rate(rate: float) -> None:
    """Raises InputError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise InputError(f"rate is {rate}: the share of channels that a code drops lies between 0 and 1")


def drop(x: Float[Tensor, "batch channels height width"], codes: Tensor, rate: float) -> Tensor:
    """Equation 5.2: channels whose code is at most ``rate`` become 0, the others are divided by 1 - rate.

    codes: [B, C] uniform on [0, 1], the same at all places (what nn.Dropout2d does too, but anew at each call and not
    at inference); or [B, C, H, W] for element-wise dropout, resized by nearest neighbours where x has another size.

    Raises InputError where the rate is not within (0, 1), and for codes of another batch or width.
    """
    require_rate(rate)
    if codes.dim() not in (2, 4) or codes.shape[:2] != x.shape[:2]:
        raise InputError(
            f"codes have shape {list(codes.shape)}: give {list(x.shape[:2])}, a number for each item and channel, or "
            "also for each place"
        )
    if codes.dim() == 2:
        codes = codes[:, :, None, None]
    elif codes.shape[-2:] != x.shape[-2:]:
        codes = torch.nn.functional.interpolate(codes, x.shape[-2:], mode="nearest")
    return x * ((codes > rate).to(x.dtype) / (1 - rate))


def interpolate(start: Tensor, end: Tensor, share: float) -> Tensor:
    """The code at ``share`` of the way from ``start`` to ``end``: uniform on [0, 1] like them.

    Equation 5.3 takes the mixture itself. That is no longer uniform: half way, at a rate of 2/3, it keeps 22% of the
    channels instead of 33%, where the scale 1 / (1 - rate) is wrong. So the mixture goes through its own distribution
    function; at both ends that changes nothing.

    Raises InputError where ``share`` or a code is not within [0, 1], and for codes of different widths.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}: a code between two others lies from 0 to 1 of the way")
    if start.shape != end.shape:
        raise InputError(
            f"codes have shapes {list(start.shape)} and {list(end.shape)}: give two of one width"
        )
    for code in (start, end):
        if not ((code >= 0) & (code <= 1)).all():
            raise InputError("a code holds numbers outside of 0 to 1: it is none of this generator's")
    return _distribution((1 - share) * start + share * end, share)


def _distribution(mixture: Tensor, share: float) -> Tensor:
    """P((1 - a) U + a V <= mixture) of independent uniform U and V: a trapezoid's integral."""
    short, long = sorted((share, 1 - share))
    if short == 0:
        return mixture
    rising = mixture.square() / (2 * short * long)
    even = (mixture - short / 2) / long
    falling = 1 - (1 - mixture).square() / (2 * short * long)
    return torch.where(mixture < short, rising, torch.where(mixture > long, falling, even))
