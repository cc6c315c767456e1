"""Steady segmentation of a whole video by spatio-temporal data-driven pooling (He et al., CVPR 2017).

Any model will do, as a black box: only its posteriors are read. Pooling them takes the mean of their logarithms over a
region's pixels and over the views, then a softmax. A log-posterior is a logit less a number that all classes of that
pixel share; the mean is the mean logit less a number that all classes of the region share, which the softmax does not
see. So this is pooling the logits that the black box hides.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tessella.errors import InputError
from tessella.pooling.correspondence import match
from tessella.pooling.flow import Flow, Motion, optical_flow
from tessella.pooling.layers import region_to_pixel, temporal_pool
from tessella.pooling.smooth import SteadyFrame, smooth, windows
from tessella.pooling.sums import region_sizes, sum_over_regions
from tessella.pooling.superpixels import LEAVES, MATCHED, region_hierarchy

FLOOR = 1e-8
"""Posteriors are never taken to be less: one pixel that rules a class out must not rule it out for its whole region
in all views. Float16 posteriors end at 6e-8: what any model tells of its logits lies above."""


class View(NamedTuple):
    """A frame with what a model makes of it.

    image: [H, W, 3] uint8 RGB. posteriors: [K, H, W], on any device. depth: [H, W] in metres, holes filled, if known.
    """

    image: np.ndarray
    posteriors: Tensor
    depth: np.ndarray | None = None


def steady(
    views: Iterable[View],
    reach: int = 10,
    regions: Sequence[int] = (200, 600),
    smoothing: int = 2,
    flow: Flow = optical_flow,
) -> Iterator[SteadyFrame]:
    """Each frame of a video in turn, its posteriors pooled over superpixels and over the frames around it.

    reach: frames to either side that are pooled, where the video has them; 0 pools over superpixels alone.
    regions: superpixels of a frame; of several numbers, levels of one hierarchy, the mean is taken.
    smoothing: frames to either side whose pooled posteriors are averaged along the motion at last; superpixels are
        found anew in every frame, and without it labels flicker where their borders jump.

    Frame t is given once frame t + reach + smoothing + 1 has been read; nothing is kept of frames before
    t - reach - smoothing. Each of the 2 reach + 1 frames takes 2 K + 35 bytes a pixel of main memory, each of
    2 smoothing + 1 results 4 K.

    Raises InputError for options out of range at once, and for a frame of another size when it comes.
    """
    if reach < 0:
        raise InputError(f"reach: {reach} given; give the frames to either side, 0 or more")
    if not regions or min(regions) < 1:
        raise InputError(f"regions: {list(regions)} given; give one number or several, each at least 1")
    if smoothing < 0:
        raise InputError(f"smoothing: {smoothing} given; give the frames to either side, 0 for none")
    pooled = (_pool(window, target) for window, target in windows(_seen(views, regions, flow), reach))
    return smooth(pooled, smoothing)


class _Seen(NamedTuple):
    """What is kept of a frame.

    matched, pooled: [H, W], its superpixels as another frame's view, and as the target. levels: [L, R], which
    region of each level each of ``pooled`` lies in. log_posteriors: [K, H, W] float16. motion: to the next frame.
    """

    image: np.ndarray
    matched: np.ndarray
    pooled: np.ndarray
    levels: Tensor
    log_posteriors: Tensor
    motion: Motion | None = None


def _seen(views: Iterable[View], regions: Sequence[int], flow: Flow) -> Iterator["_Seen"]:
    last: _Seen | None = None
    for number, view in enumerate(views):
        _require_same_size(view, last, number)
        now = _see(view, regions)
        if last is not None:
            yield last._replace(motion=Motion.between(last.image, now.image, flow))
        last = now
    if last is not None:
        yield last


def _see(view: View, regions: Sequence[int]) -> _Seen:
    hierarchy = region_hierarchy(view.image, view.depth, LEAVES * max(regions))
    log_posteriors = view.posteriors.detach().to("cpu", torch.float32).clamp(min=FLOOR).log_().half()
    cuts = [hierarchy.cut(count) for count in regions]
    finest = max(cuts, key=np.max)
    levels = np.zeros((len(cuts), finest.max() + 1), np.int64)
    levels[:, finest] = cuts  # cuts of one hierarchy are nested
    return _Seen(
        view.image, hierarchy.cut(MATCHED * max(regions)), finest, torch.from_numpy(levels), log_posteriors
    )


def _pool(window: Sequence[_Seen], target: int) -> SteadyFrame:
    here = window[target]
    cuts = [seen.matched for seen in window]
    cuts[target] = here.pooled
    motions = [seen.motion for seen in window[:-1] if seen.motion is not None]
    maps = torch.from_numpy(match(cuts, motions, target))
    pooled = pool_window([seen.log_posteriors for seen in window], maps, target, here.levels)
    return SteadyFrame(pooled.softmax(0), here.motion)


def pool_window(
    features: Sequence[Float[Tensor, "channels height width"]],
    regions: Int[Tensor, "views height width"],
    target: int,
    levels: Int[Tensor, "levels regions"],
) -> Float[Tensor, "channels height width"]:
    """``SpatioTemporalPooling`` of means, of regions that unite to coarser ones; for windows that are large.

    features: float16, taken to float32 a view at a time. levels: which region of each level a region lies in.
    Pixels are read once: coarser regions add up what finer ones have.
    """
    here = regions[target]
    num_regions = levels.shape[1]
    exact = torch.empty(1, *features[target].shape)
    sums = torch.cat(
        [
            sum_over_regions(exact.copy_(view), ids[None], num_regions)
            for view, ids in zip(features, regions, strict=True)
        ]
    )
    sizes = region_sizes(regions, num_regions).float()[:, None]
    pooled = []
    for level in levels:
        count = int(level.max()) + 1
        united, pixels = (
            each.new_zeros(*each.shape[:2], count).index_add_(2, level, each) for each in (sums, sizes)
        )
        means = united / pixels.clamp(min=1)
        pooled.append(temporal_pool(means, pixels[:, 0] > 0)[:, level])
    output = region_to_pixel(torch.stack(pooled).mean(0), here)
    return output if bool((here >= 0).all()) else features[target].float().where(here < 0, output)


def _require_same_size(view: View, last: _Seen | None, number: int) -> None:
    image, posteriors = view.image.shape[:2], view.posteriors.shape
    if len(posteriors) != 3 or posteriors[1:] != image:
        raise InputError(
            f"frame {number}: posteriors are {list(posteriors)}, the image {list(image)}; give [K, H, W] of its size"
        )
    if last is not None and posteriors != last.log_posteriors.shape:
        before = list(last.log_posteriors.shape)
        raise InputError(
            f"frame {number}: posteriors are {list(posteriors)} after {before}; "
            "all frames of a video have one size"
        )
