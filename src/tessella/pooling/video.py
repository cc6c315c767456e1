"""Steady segmentation of a whole video by spatio-temporal data-driven pooling (He et al., CVPR 2017).

Any model will do, as a black box: only its posteriors are read. Pooling them takes the mean of their logarithms over a
region's pixels and over the views, then a softmax. A log-posterior is a logit less a number that all classes of that
pixel share; the mean is the mean logit less a number that all classes of the region share, which the softmax does not
see. So this is pooling the logits that the black box hides.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tessella.errors import InputError
from tessella.pooling.correspondence import match
from tessella.pooling.flow import Flow, Motion, optical_flow
from tessella.pooling.layers import region_to_pixel, spatial_pool, temporal_pool
from tessella.pooling.sums import region_sizes
from tessella.pooling.superpixels import region_hierarchy

FLOOR = 1e-8
"""Posteriors are never taken to be less: one pixel that rules a class out must not rule it out for its whole region
in all views. Float16 posteriors end at 6e-8: what any model tells of its logits lies above."""

FINER = 6
"""Regions that are matched are so many times as many as those that are pooled."""


class View(NamedTuple):
    """A frame with what a model makes of it.

    image: [H, W, 3] uint8 RGB. posteriors: [K, H, W], on any device. depth: [H, W] in metres, holes filled, if known.
    """

    image: np.ndarray
    posteriors: Tensor
    depth: np.ndarray | None = None


class SteadyFrame(NamedTuple):
    """posteriors: [K, H, W] float32 in main memory. motion: to the next frame; None for the last."""

    posteriors: Tensor
    motion: Motion | None


def steady(
    views: Iterable[View], reach: int = 10, regions: int = 200, flow: Flow = optical_flow
) -> Iterator[SteadyFrame]:
    """Each frame of a video in turn, its posteriors pooled over superpixels and over the frames around it.

    reach: frames to either side that contribute, where the video has them; 0 pools over superpixels alone.
    regions: superpixels of a frame.

    Frame t is given once frame t + reach has been read, or the next one for its motion; nothing is kept of frames
    before t - reach. Each of the 2 reach + 1 frames takes 2 K + 35 bytes a pixel of main memory.

    Raises InputError for a reach or regions out of range at once, and for a frame of another size when it comes.
    """
    if reach < 0:
        raise InputError(f"reach: {reach} given; give the frames to either side, 0 or more")
    if regions < 1:
        raise InputError(f"regions: {regions} given; at least 1 is needed")
    return _steady(views, reach, regions, flow)


class _Seen(NamedTuple):
    """fine, regions: [H, W], the superpixels that are matched, and pooled. log_posteriors: [K, H, W] float16."""

    image: np.ndarray
    fine: np.ndarray
    regions: np.ndarray
    log_posteriors: Tensor


def _steady(views: Iterable[View], reach: int, regions: int, flow: Flow) -> Iterator[SteadyFrame]:
    window: list[_Seen] = []
    motions: list[Motion] = []
    target = 0  # its place in the window
    ahead = max(reach, 1)
    after_the_end = repeat(None, ahead)
    for number, view in enumerate(chain(views, after_the_end)):
        if view is not None:
            _require_same_size(view, window, number)
            if window:
                motions.append(Motion.between(window[-1].image, view.image, flow))
            window.append(_see(view, regions))
        complete = len(window) - target > ahead
        if complete or (view is None and target < len(window)):
            pooled = _pool(window[: target + reach + 1], motions[: target + reach], target)
            yield SteadyFrame(pooled, motions[target] if target < len(motions) else None)
            target += 1
            if target > reach:
                del window[0], motions[:1]
                target -= 1


def _see(view: View, regions: int) -> _Seen:
    hierarchy = region_hierarchy(view.image, view.depth, FINER * regions)
    log_posteriors = view.posteriors.detach().to("cpu", torch.float32).clamp(min=FLOOR).log_().half()
    return _Seen(view.image, hierarchy.finest, hierarchy.cut(regions), log_posteriors)


def _pool(window: Sequence[_Seen], motions: Sequence[Motion], target: int) -> Tensor:
    cuts = [seen.fine for seen in window]
    cuts[target] = window[target].regions
    maps = torch.from_numpy(match(cuts, motions, target))
    return pool_views([seen.log_posteriors for seen in window], maps, target).softmax(0)


def pool_views(
    features: Sequence[Float[Tensor, "channels height width"]],
    regions: Int[Tensor, "views height width"],
    target: int,
) -> Float[Tensor, "channels height width"]:
    """``SpatioTemporalPooling`` of float16 features, taken to float32 a view at a time: a window of them is large."""
    here = regions[target]
    num_regions = int(here.max()) + 1
    exact = torch.empty(1, *features[target].shape)
    pooled = torch.stack(
        [
            spatial_pool(exact.copy_(view), ids[None], num_regions)[0]
            for view, ids in zip(features, regions, strict=True)
        ]
    )
    output = region_to_pixel(temporal_pool(pooled, region_sizes(regions, num_regions) > 0), here)
    return output if bool((here >= 0).all()) else features[target].float().where(here < 0, output)


def _require_same_size(view: View, window: Sequence[_Seen], number: int) -> None:
    image, posteriors = view.image.shape[:2], view.posteriors.shape
    if len(posteriors) != 3 or posteriors[1:] != image:
        raise InputError(
            f"frame {number}: posteriors are {list(posteriors)}, the image {list(image)}; give [K, H, W] of its size"
        )
    if window and posteriors != window[-1].log_posteriors.shape:
        before = list(window[-1].log_posteriors.shape)
        raise InputError(
            f"frame {number}: posteriors are {list(posteriors)} after {before}; "
            "all frames of a video have one size"
        )
