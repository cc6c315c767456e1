"""Steady video: black boxes, windows, memory."""

import itertools
import weakref

import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.metrics import Flicker
from tessella.pooling.correspondence import match
from tessella.pooling.flow import Motion
from tessella.pooling.layers import SpatioTemporalPooling
from tessella.pooling.superpixels import LEAVES, MATCHED, region_hierarchy
from tessella.pooling.video import View, pool_window, steady

SHAPE = (48, 64)


def moving_video(frames):
    """A picture of squares that moves right by two pixels a frame."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (6, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for t in range(frames):
        yield np.ascontiguousarray(wide[:, 60 - 2 * t : 124 - 2 * t])


def logits(frames, classes=5, spread=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [spread * torch.randn(classes, *SHAPE, generator=generator) for _ in range(frames)]


@pytest.mark.parametrize("reach", [0, 1, 2, 9])
def test_posteriors_of_a_black_box_pool_as_the_logits_it_hides(reach):
    images, hidden = list(moving_video(5)), logits(5)
    views = [View(image, scores.softmax(0)) for image, scores in zip(images, hidden, strict=True)]
    found = list(steady(views, reach, regions=(10, 30), smoothing=0))
    assert len(found) == 5
    hierarchies = [region_hierarchy(image, finest=30 * LEAVES) for image in images]
    motions = [Motion.between(*pair) for pair in itertools.pairwise(images)]
    for target, (posteriors, motion) in enumerate(found):
        window = range(max(0, target - reach), min(5, target + reach + 1))
        pooled, coarser = hierarchies[target].cut(30), hierarchies[target].cut(10)
        cuts = [pooled if t == target else hierarchies[t].cut(30 * MATCHED) for t in window]
        maps = match(cuts, motions[window[0] : window[-1]], target - window[0])
        unite = np.append(np.zeros(30, np.int32), -1)  # the last is for pixels without a region
        unite[pooled] = coarser
        levels = torch.from_numpy(np.stack([unite[maps], maps]))
        features = torch.stack([hidden[t] for t in window])
        expected = SpatioTemporalPooling()(features, levels, target - window[0]).softmax(0)
        torch.testing.assert_close(posteriors, expected, atol=1e-3, rtol=0)
        torch.testing.assert_close(posteriors.sum(0), torch.ones(SHAPE))
        assert (motion is None) == (target == 4)
        if motion is not None:
            assert (motion.forward == motions[target].forward).all()


def test_pixels_without_a_region_keep_their_own():
    features = torch.stack(logits(3)).half()
    regions = torch.from_numpy(np.random.default_rng(0).integers(-1, 6, (3, *SHAPE)))
    regions[2][regions[2] == 4] = -1  # one that a view lacks
    expected = SpatioTemporalPooling()(features.float(), regions, 1)
    pooled = pool_window(list(features), regions, 1, torch.arange(6)[None])
    torch.testing.assert_close(pooled, expected)
    alone = regions[1] < 0
    assert (pooled[:, alone] == features[1][:, alone].float()).all()


def test_a_still_scene_gets_steadier():
    image = next(moving_video(1))
    truth = torch.zeros(3, *SHAPE)
    truth[0, :, :32] = truth[1, :, 32:] = 1
    views = [View(image, (truth + noise).softmax(0)) for noise in logits(8, 3, spread=4)]

    def flicker(labels):
        score = Flicker()
        for pair in itertools.pairwise(labels):
            score.update(*pair, np.zeros((*SHAPE, 2)), np.ones(SHAPE, bool))
        return score.compute()

    before = flicker([view.posteriors.argmax(0).numpy() for view in views])
    pooled = [
        [frame.posteriors.argmax(0).numpy() for frame in steady(views, reach, [40], smoothing=0)]
        for reach in (0, 3)
    ]
    assert before > 0.5
    assert flicker(pooled[0]) < before / 2
    assert flicker(pooled[1]) < flicker(pooled[0]) / 4


def test_one_frame_is_pooled_over_its_superpixels():
    image, scores = next(moving_video(1)), logits(1)[0]
    ((posteriors, motion),) = steady([View(image, scores.softmax(0))], regions=[20])
    assert motion is None
    regions = region_hierarchy(image, finest=20 * LEAVES).cut(20)
    assert regions.max() == 19
    for region in range(20):
        inside = posteriors[:, regions == region]
        assert (inside == inside[:, :1]).all()
    assert list(steady([])) == []


def test_depth_makes_regions():
    image = np.full((*SHAPE, 3), 120, np.uint8)
    depth = np.full(SHAPE, 2.0, np.float32)
    depth[:, 32:] = 3
    ((posteriors, _),) = steady([View(image, logits(1)[0].softmax(0), depth)], regions=[2])
    assert (posteriors[:, :, :29] == posteriors[:, :1, :1]).all()
    assert (posteriors[:, :, 35:] == posteriors[:, :1, -1:]).all()
    assert (posteriors[:, 0, 0] != posteriors[:, 0, -1]).any()


def test_certainty_that_no_logit_can_hold():
    """Zeros and ones, as a vote or a saturated float16 gives: the rest of the region can outvote a pixel."""
    image = np.full((*SHAPE, 3), 120, np.uint8)
    posteriors = torch.zeros(2, *SHAPE)
    posteriors[0] = 1
    posteriors[:, 0, 0] = torch.tensor([0.0, 1.0])
    ((pooled, _),) = steady([View(image, posteriors)], regions=[1])
    assert pooled.isfinite().all()
    assert (pooled.argmax(0) == 0).all()


@pytest.mark.parametrize(("reach", "smoothing"), [(0, 0), (3, 0), (1, 2)])
def test_only_the_window_is_held(reach, smoothing):
    """Of twelve frames' images, and one frame more is read than contribute: motion to it is given too."""
    images = []

    def views():
        for image, scores in zip(moving_video(12), logits(12), strict=True):
            images.append(weakref.ref(image))
            yield View(image, scores.softmax(0))

    for target, _ in enumerate(steady(views(), reach, [20], smoothing)):
        assert len(images) == min(12, target + 2 + reach + smoothing)
        alive = [number for number, image in enumerate(images) if image() is not None]
        # The last one read is also in the hands of the loop that made it, the first in those of the window.
        assert set(alive) <= set(range(target - reach + smoothing, target + reach + smoothing + 2)), alive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reach": -1}, "reach: -1"),
        ({"regions": [5, 0]}, r"regions: \[5, 0\]"),
        ({"regions": []}, "regions: "),
        ({"smoothing": -1}, "smoothing: -1"),
    ],
)
def test_bad_options_are_refused_at_once(options, message):
    with pytest.raises(InputError, match=message):
        steady([], **options)


def test_a_frame_of_another_size():
    views = [View(image, scores.softmax(0)) for image, scores in zip(moving_video(2), logits(2), strict=True)]
    smaller = View(views[1].image[:40], views[1].posteriors[:, :40])
    with pytest.raises(InputError, match=r"frame 1: .*\[5, 40, 64\] after \[5, 48, 64\].*one size"):
        list(steady([views[0], smaller]))
    with pytest.raises(InputError, match=r"frame 0: posteriors are \[5, 40, 64\], the image \[48, 64\]"):
        list(steady([View(views[0].image, smaller.posteriors)]))
