"""Filled depth: what is known stays, holes continue what is around them."""

import time

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling import fill_depth


def test_what_is_known_stays_and_holes_lie_between():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (61, 83)).astype(np.float32)
    holes = rng.random(depth.shape) < 0.4
    holes[10:40, 20:60] = True
    depth[holes] = 0
    depth[0, 0] = np.nan
    filled = fill_depth(depth)
    assert filled.dtype == np.float32
    known = depth > 0
    assert (filled[known] == depth[known]).all()
    assert filled.min() >= depth[known].min()
    assert filled.max() <= depth[known].max()


def test_a_slope_continues_through_a_hole():
    truth = np.broadcast_to(np.linspace(2, 4, 128, dtype=np.float32), (96, 128))
    depth = truth.copy()
    depth[40:56, 50:70] = 0
    np.testing.assert_allclose(fill_depth(depth), truth, atol=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (33, 32)])
def test_one_known_pixel_fills_everything(shape):
    depth = np.zeros(shape)
    depth[-1, -1] = 2
    np.testing.assert_allclose(fill_depth(depth), 2, rtol=1e-5)


def test_fast_enough_for_every_frame():
    depth = np.random.default_rng(0).uniform(1, 5, (480, 640)).astype(np.float32)
    depth[depth < 2] = 0
    times = []
    for _ in range(5):
        start = time.perf_counter()
        fill_depth(depth)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


def test_nothing_known():
    with pytest.raises(InputError, match="missing everywhere"):
        fill_depth(np.zeros((4, 5)))
