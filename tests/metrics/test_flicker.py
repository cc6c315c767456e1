"""Flicker against a loop over pixels, and on motion that is known."""

import math

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.metrics import Flicker, flicker
from tessella.scenes import TRAIN_LABELS, sequence


def by_a_loop(labels, next_labels, flow, visible):
    changed = followed = 0
    for row, column in np.ndindex(labels.shape):
        right, down = flow[row, column]
        if not visible[row, column] or not math.isfinite(right + down):
            continue
        to_row, to_column = math.floor(row + down + 0.5), math.floor(column + right + 0.5)
        if 0 <= to_row < labels.shape[0] and 0 <= to_column < labels.shape[1]:
            followed += 1
            changed += labels[row, column] != next_labels[to_row, to_column]
    return changed, followed


def made_up(seed):
    rng = np.random.default_rng(seed)
    flow = rng.normal(0, 3, (12, 17, 2)).astype(np.float32)
    flow[rng.random((12, 17)) < 0.1] = np.nan
    labels, next_labels = rng.integers(0, 4, (2, 12, 17), dtype=np.uint8)
    return labels, next_labels, flow, rng.random((12, 17)) < 0.7


def test_as_a_loop_counts():
    score = Flicker()
    totals = np.zeros(2, int)
    for seed in range(5):
        pair = made_up(seed)
        counts = by_a_loop(*pair)
        assert flicker(*pair) == counts[0] / counts[1]
        score.update(*pair)
        totals += counts
    assert (score.changed, score.followed) == tuple(totals)
    assert score.compute() == totals[0] / totals[1]


def test_truth_of_a_rendered_room_hardly_flickers():
    """With exact motion; what is left are pixels whose end is rounded across a border."""
    first, second = sequence("room", 3, 2, 96, 128)
    labels, next_labels = (TRAIN_LABELS["room"][frame.labels] for frame in (first, second))
    true = flicker(labels, next_labels, first.flow_forward, first.visible_forward)
    assert true < 0.02
    assert flicker(labels, next_labels, np.zeros_like(first.flow_forward), first.visible_forward) > true


def test_nothing_to_follow_is_undefined():
    assert math.isnan(Flicker().compute())
    labels = np.zeros((2, 3), np.uint8)
    assert math.isnan(flicker(labels, labels, np.zeros((2, 3, 2)), np.zeros((2, 3), bool)))
    assert math.isnan(flicker(labels, labels, np.full((2, 3, 2), 9.0), np.ones((2, 3), bool)))


def test_sizes_that_differ():
    labels, next_labels, flow, visible = made_up(0)
    with pytest.raises(InputError, match=r"the next \[5, 17\].*of one size"):
        flicker(labels, next_labels[:5], flow, visible)
    with pytest.raises(InputError, match=r"flow \[12, 17, 1\]"):
        flicker(labels, next_labels, flow[..., :1], visible)
