"""The members that an attack is surest of: an average over all images says nothing of the few that are given away."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from tessella.membership_inference.statistics import Estimate, Scores, proportion


class Surest(NamedTuple):
    """place: among the members. false_positive_rate: of whoever calls it a member, and so all that score as high."""

    place: int
    score: float
    false_positive_rate: Estimate


def surest(members: Scores, nonmembers: Scores, count: int = 10) -> list[Surest]:
    """The members of the highest scores, the highest first; those without a score (nan) are left out."""
    others = nonmembers[~np.isnan(nonmembers)]
    order = np.argsort(-members, kind="stable")[: min(count, int((~np.isnan(members)).sum()))]
    return [
        Surest(place, score, proportion(int((others >= score).sum()), len(others)))
        for place, score in zip(order.tolist(), members[order].tolist(), strict=True)
    ]


def moved_by_training(
    scores: Float[np.ndarray, "models images"], members: Bool[np.ndarray, "models images"]
) -> tuple[Scores, Scores]:
    """Of each image the mean score by victims that were trained on it, and by those that were not.

    The further apart, the more the image is given away whichever model has it. nan where there is no such score.
    """
    members = np.asarray(members, bool)  # of 0 and 1, ~ would make -1 and -2
    known = np.isfinite(scores)
    trained, others = (
        np.ma.masked_array(scores, ~(which & known)).mean(0).filled(np.nan) for which in (members, ~members)
    )
    return trained, others
