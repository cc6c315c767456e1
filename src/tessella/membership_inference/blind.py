"""Can members be told from non-members without the model at all? Then no attack on it means anything."""

from collections.abc import Hashable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from tessella.errors import InputError
from tessella.membership_inference.blocks import folds
from tessella.membership_inference.statistics import Estimate, bootstrap_auc

Image = UInt8[np.ndarray, "height width 3"]

GIVEN_AWAY = 0.55
"""No lower end of an interval may lie above it: two sides that chance has drawn are rarely that far apart."""

DRAWS = 5
"""Of folds: what one draw of them finds is partly chance."""


def features(image: Image) -> Float[np.ndarray, " features"]:
    """A histogram of colours and an 8 x 8 picture: time of day, place, camera."""
    histogram = cv2.calcHist([image], [0, 1, 2], None, [4, 4, 4], [0, 256] * 3).ravel()
    small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).ravel() / 255
    return np.concatenate([np.sqrt(histogram / histogram.sum()), small])


def blind_scores(
    described: Float[np.ndarray, "images features"],
    members: Bool[np.ndarray, " images"],
    blocks: Sequence[Hashable],
    *,
    penalty: float = 1.0,
    seed: int = 0,
) -> Float[np.ndarray, " images"]:
    """How likely each image is a member, by a ridge regression on the images of other folds.

    blocks: for each image, its block of video: neighbouring frames would answer for one another. They are put together
    to five folds at random.

    Raises InputError where some fold would leave one side empty.
    """
    members = np.asarray(members, bool)  # of 0 and 1, ~ would make -1 and -2
    count = len(set(blocks))
    if count < 2:
        raise InputError(f"blind baseline: {count} block of images; at least two are needed")
    fold = folds(blocks, min(5, count), seed)
    scores = np.empty(len(members))
    for held_out in range(fold.max() + 1):
        test = fold == held_out
        known = members[~test]
        if known.all() or not known.any():
            raise InputError("blind baseline: too few blocks: without some of them only one side is left")
        scores[test] = _ridge(described[~test], known, described[test], penalty)
    return scores


def blind_baseline(
    described: Float[np.ndarray, "images features"],
    members: Bool[np.ndarray, " images"],
    blocks: Sequence[Hashable],
    seed: int = 0,
) -> Estimate:
    """The AUC of ``blind_scores``, by a bootstrap over blocks. Cross-validation by block leans below 0.5 a little."""
    members = np.asarray(members, bool)
    scores = blind_scores(described, members, blocks, seed=seed)
    inside = [block for block, member in zip(blocks, members, strict=True) if member]
    outside = [block for block, member in zip(blocks, members, strict=True) if not member]
    return bootstrap_auc(scores[members], scores[~members], inside, outside, seed=seed)


def is_given_away(estimate: Estimate) -> bool:
    """Whether the two sides differ in what they show, so that an audit must not give a verdict."""
    return estimate.low > GIVEN_AWAY


def _ridge(
    known: Float[np.ndarray, "images features"],
    members: Bool[np.ndarray, " images"],
    unknown: Float[np.ndarray, "others features"],
    penalty: float,
) -> Float[np.ndarray, " others"]:
    """Of features brought to mean 0 and variance 1; both sides weigh the same."""
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    weights = np.where(members, 0.5 / members.sum(), 0.5 / (~members).sum())[:, None]
    x = (known - mean) / deviation
    x -= (weights * x).sum(0)
    y = np.where(members, 0.5, -0.5)
    count = x.shape[1]
    # So many features: the penalty is of the size of what each adds.
    gram = x.T @ (weights * x) + penalty * np.eye(count)
    return (unknown - mean) / deviation @ np.linalg.solve(gram, x.T @ (weights[:, 0] * y))
