"""Attacks that compare a victim with reference models: is an image scored as by those that saw it, or did not?

All take what is saved of a game: signals of every image under every model, and who was trained on what. Whoever is the
victim is left out of its own references, so each model can be the victim in turn.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from tessella.errors import InputError

Members = Bool[np.ndarray, "models images"]
Scores = Float[np.ndarray, " images"]
Spread = Literal["shared", "own"]

SEVERAL = ("logit", "logit, lowest 5%", "logit at boundaries", "entropy")
"""What the likelihood ratio of several signals takes: the mean, the hardest pixels, edges, and how sure it is."""


def lira(
    signals: Float[np.ndarray, "models images signals"],
    members: Members,
    victim: int,
    *,
    online: bool = True,
    spread: Spread = "shared",
) -> Scores:
    """The likelihood ratio attack (Carlini et al., S&P 2022): log of how much likelier the victim saw each image.

    Signals of an image are taken to be normal over models, with one mean where they saw it and one where they did not.
    Of several signals their covariance counts. online: False does without models that saw the image, and tells how
    unusually high the victim's first signal is among those that did not.
    spread: "shared", one covariance for all images, is the better choice for fewer than some 64 models; "own" is each
    image's, of one signal.

    nan for images that too few models saw or did not see. Raises InputError where shapes do not fit.
    """
    members = np.asarray(members, bool)  # of 0 and 1, ~ would make -1 and -2
    others = _references(signals, members, victim)
    if spread == "own" and signals.shape[2] > 1:
        raise InputError(f"spread 'own' takes one signal, {signals.shape[2]} given; choose 'shared'")
    target = signals[victim]
    outside, inside = (
        _normal(signals[others], which, spread) for which in (~members[others], members[others])
    )
    if not online:
        mean, covariance = outside
        return (target[:, 0] - mean[:, 0]) / np.sqrt(covariance[:, 0, 0])
    return _log_density(target, *inside) - _log_density(target, *outside)


def rmia(
    log_likelihoods: Float[np.ndarray, "models images"],
    members: Members,
    victim: int,
    *,
    online: bool = True,
    gamma: float = 1.0,
    offline_scale: float = 0.3,
) -> Scores:
    """Robust membership inference (Zarifzadeh et al., ICML 2024): the share of other images that an image dominates.

    log_likelihoods: of an image's labels, the mean over its pixels: the signal "loss". An image dominates another where
    the victim gives it ``gamma`` times more, against what references give each. online: False does without references
    that saw an image: what those would give is guessed as a times what the others give, plus 1 - a, a being
    ``offline_scale``.

    nan where references are lacking. Raises InputError where shapes do not fit.
    """
    members = np.asarray(members, bool)
    others = _references(log_likelihoods[..., None], members, victim)
    likelihoods = np.exp(log_likelihoods)
    outside, inside = (_mean(likelihoods[others], which) for which in (~members[others], members[others]))
    seen = inside if online else offline_scale * outside + 1 - offline_scale
    ratio = likelihoods[victim] / ((outside + seen) / 2)
    known = np.isfinite(ratio)
    dominated = (ratio[:, None] >= gamma * ratio[None, known]).astype(float)
    itself = known & (gamma <= 1)  # which every image dominates
    scores = (dominated.sum(1) - itself) / max(known.sum() - 1, 1)
    return np.where(known, scores, np.nan)


def _references(signals: np.ndarray, members: np.ndarray, victim: int) -> np.ndarray:
    if signals.shape[:2] != members.shape:
        raise InputError(
            f"signals are of {list(signals.shape[:2])} models and images, members {list(members.shape)}"
        )
    if not 0 <= victim < len(members) or len(members) < 3:
        raise InputError(
            f"victim {victim} of {len(members)} models: at least two others must serve as references"
        )
    return np.arange(len(members)) != victim


def _mean(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Over the models in ``which``, for each image; nan where there is none."""
    count = which.sum(0)
    total = np.where(which.reshape(*which.shape, *[1] * (values.ndim - 2)), values, 0).sum(0)
    with np.errstate(invalid="ignore"):
        return total / count.reshape(-1, *[1] * (values.ndim - 2))


def _normal(signals: np.ndarray, which: np.ndarray, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """Mean [images, signals] and covariance [images, signals, signals] over the models in ``which``."""
    mean = _mean(signals, which)
    known = np.isfinite(mean).all(1)  # an image without a signal tells nothing of how signals vary
    apart = np.where((which & known)[..., None], signals - mean, 0)
    products = np.einsum("mni,mnj->nij", apart, apart)
    freedom = np.where(known, np.maximum(which.sum(0) - 1, 0), 0)
    if spread == "own":
        covariance = products / np.where(freedom > 0, freedom, np.nan)[:, None, None]
    else:
        covariance = np.broadcast_to(products.sum(0) / max(freedom.sum(), 1), products.shape)
    # Where a signal does not vary, density would be infinite.
    return mean, covariance + 1e-9 * np.eye(signals.shape[2])


def _log_density(values: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    apart = values - mean
    solved = np.linalg.solve(covariance, apart[..., None])[..., 0]
    return -0.5 * ((apart * solved).sum(-1) + np.linalg.slogdet(covariance)[1])
