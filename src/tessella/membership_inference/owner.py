"""One answer for a whole set of images: were these used, as an owner suspects? (Thesis, section 7.5.1.)"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from tessella.membership_inference.blocks import numbered
from tessella.membership_inference.statistics import Scores, auc


class OwnersTest(NamedTuple):
    """p_value: how often chance alone would let the suspected images score so high, or higher.
    auc: of suspected against held-out images.
    """

    p_value: float
    auc: float


def owners_test(
    suspected: Scores,
    held_out: Scores,
    suspected_blocks: Sequence[Hashable],
    held_out_blocks: Sequence[Hashable],
    *,
    rounds: int = 9999,
    seed: int = 0,
) -> OwnersTest:
    """A permutation test of the owner's images that may have been used against others of his that never left the house.

    Held-out images must be of the same kind: same camera, places, time. Blocks (videos, days, patients) are what is
    exchanged: images of one are not independent. The statistic is the mean rank of the suspected images; (Phipson and
    Smyth 2010) counting the observation itself, the p-value is never 0.

    Raises InputError where a side is empty or a score is not a number.
    """
    observed = auc(suspected, held_out)
    ranks = rankdata(np.concatenate([suspected, held_out]))
    of_image = numbered(
        [*((True, block) for block in suspected_blocks), *((False, block) for block in held_out_blocks)]
    )
    count = int(of_image.max()) + 1
    sums, sizes = np.bincount(of_image, ranks), np.bincount(of_image)
    marked = len(set(suspected_blocks))
    rng = np.random.default_rng(seed)
    chosen = rng.permuted(np.tile(np.arange(count) < marked, (rounds, 1)), axis=1)
    means = (chosen @ sums) / (chosen @ sizes)
    as_high = int((means >= ranks[: len(suspected)].mean() - 1e-9).sum())
    return OwnersTest((as_high + 1) / (rounds + 1), observed)
