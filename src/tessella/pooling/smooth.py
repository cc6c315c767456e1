"""Posteriors of a video averaged over time, along its motion."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from tessella.pooling.flow import Motion, positions

Item = TypeVar("Item")


class SteadyFrame(NamedTuple):
    """posteriors: [K, H, W] float32 in main memory. motion: to the next frame; None for the last."""

    posteriors: Tensor
    motion: Motion | None


def smooth(frames: Iterable[SteadyFrame], reach: int) -> Iterator[SteadyFrame]:
    """Each frame's posteriors, averaged with those of up to ``reach`` frames to either side, seen from this one.

    A pixel counts in another frame as long as flow there and back agree; what is new in a frame is left as it is.
    Pooling finds the regions of every frame anew, so that near their borders labels flip; an average does not.
    """
    for window, target in windows(frames, reach):
        mine, motion = window[target]
        shape = mine.shape[1:]
        total, count = mine.clone(), torch.ones(shape)
        motions = [frame.motion for frame in window[:-1] if frame.motion is not None]
        later = [(m.forward, m.forward_holds) for m in motions[target:]]
        earlier = [(m.backward, m.backward_holds) for m in motions[:target][::-1]]
        for frame, (x, y, known) in chain(
            zip(window[target + 1 :], trace(shape, later), strict=True),
            zip(window[:target][::-1], trace(shape, earlier), strict=True),
        ):
            total += sample(frame.posteriors, x, y) * known
            count += known
        yield SteadyFrame(total / count, motion)


def trace(
    shape: tuple[int, ...],
    steps: Iterable[tuple[Float[np.ndarray, "height width 2"], Bool[np.ndarray, "height width"]]],
) -> Iterator[tuple[np.ndarray, np.ndarray, Tensor]]:
    """Column, row [H, W] of the target's pixels in each next frame, and whether they can be seen there, [H, W].

    shape: height, width. steps: flow from each frame to the next, away from the target, and where it holds.
    """
    x, y = positions(np.zeros((*shape, 2), np.float32))
    known = np.ones(shape, bool)
    for flow, holds in steps:
        step = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        known = known & (cv2.remap(holds.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderValue=0) > 0)
        x, y = x + step[..., 0], y + step[..., 1]
        yield x, y, torch.from_numpy(known)


def sample(picture: Float[Tensor, "channels height width"], x: np.ndarray, y: np.ndarray) -> Tensor:
    """``picture`` at columns and rows [H, W], interpolated linearly."""
    height, width = x.shape
    places = np.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], axis=-1)
    grid = torch.from_numpy(places.astype(np.float32))[None]
    return functional.grid_sample(picture[None], grid, padding_mode="border", align_corners=True)[0]


def windows(items: Iterable[Item], reach: int) -> Iterator[tuple[Sequence[Item], int]]:
    """Each item in turn: those up to ``reach`` before and after it, and its own place among them."""
    window: list[Item] = []
    target = 0
    for item in chain(items, repeat(None, reach)):
        if item is not None:
            window.append(item)
        if len(window) - target > reach or (item is None and target < len(window)):
            yield window, target
            target += 1
            if target > reach:
                del window[0]
                target -= 1
