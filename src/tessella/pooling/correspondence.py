"""Which region of another frame is which region of the target frame (thesis, section 3.2.1)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import cv2
import numpy as np

from tessella.errors import InputError
from tessella.pooling.flow import consistent, positions


def correspondences(
    regions: Sequence[np.ndarray],
    flows: Sequence[tuple[np.ndarray, np.ndarray]],
    target: int,
    share: float = 0.5,
) -> np.ndarray:
    """For every frame of a video, the target's region that each pixel belongs to: [T, H, W] int32, -1 for none.

    regions: [H, W] for each frame. Those of other frames than the target are best several times finer. The target may
        have several levels, [L, H, W]; the result then is [T, L, H, W].
    flows: for each frame but the last, flow to the next frame and back, [H, W, 2].
    share: of a region's pixels that must be known to come from one region of the target, to bring the rest along.

    Every pixel is followed back to the target through the frames between, as long as flow forward and backward agree.
    Where that ends, because something hid it or flow failed for a moment, the frame's own region decides.
    """
    if len(flows) != len(regions) - 1:
        raise InputError(
            f"{len(regions)} frames have {len(regions) - 1} flows between them, {len(flows)} given"
        )
    if not 0 <= target < len(regions):
        raise InputError(f"target {target}: there are {len(regions)} frames")
    wanted = regions[target]
    maps = np.empty((len(regions), *wanted.shape), np.int32)
    maps[target] = wanted
    later = follow(wanted.shape[-2:], flows[target:])
    earlier = follow(wanted.shape[-2:], (flow[::-1] for flow in flows[:target][::-1]))
    for frame, origin in chain(
        zip(range(target + 1, len(regions)), later, strict=True),
        zip(range(target - 1, -1, -1), earlier, strict=True),
    ):
        maps[frame] = vote(origin.read(wanted), regions[frame], share)
    return maps


def follow(shape: tuple[int, ...], flows: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator["Origin"]:
    """Where the pixels of each next frame were in the target, a picture of ``shape`` (height, width).

    flows: step by step away from the target, flow to the next frame and back.
    """
    origin = Origin.of(shape)
    for there, back in flows:
        origin = origin.next(back, there)
        yield origin


class Origin:
    """Where the pixels of a frame were in the target: column, row, and whether that is known."""

    def __init__(self, x: np.ndarray, y: np.ndarray, known: np.ndarray) -> None:
        self.x, self.y, self.known = x, y, known

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Origin":
        """Of the target's own pixels."""
        x, y = positions(np.zeros((*shape, 2), np.float32))
        return cls(x, y, np.ones(shape, bool))

    def next(self, back: np.ndarray, there: np.ndarray) -> "Origin":
        """Of the next frame's pixels: ``back`` is flow from it to this frame, ``there`` from this frame to it."""
        x, y = positions(back)
        known = cv2.remap(self.known.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderValue=0) > 0
        return Origin(
            cv2.remap(self.x, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            cv2.remap(self.y, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            known & consistent(back, there),
        )

    def read(self, labels: np.ndarray) -> np.ndarray:
        """The target's labels [..., H, W], seen from here; -1 where they are not known."""
        if labels.ndim > 2:
            return np.stack([self.read(level) for level in labels])
        found = cv2.remap(labels.astype(np.float32), self.x, self.y, cv2.INTER_NEAREST, borderValue=-1)
        return np.where(self.known, found.astype(np.int32), -1)


def vote(found: np.ndarray, regions: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Fill in what was not found: each region's most frequent label, if more than ``share`` of it was found with it.

    found: [..., H, W], -1 where not found. regions: [H, W]; what is in none has no label either.
    """
    if found.ndim > 2:
        return np.stack([vote(level, regions, share) for level in found])
    ids, labels = regions.ravel(), found.ravel()
    counted = (ids >= 0) & (labels >= 0)
    if not counted.any():
        return np.where(regions >= 0, found, -1).astype(np.int32)
    num_regions, num_labels = int(ids.max()) + 1, int(labels.max()) + 1
    pairs = ids[counted].astype(np.int64) * num_labels + labels[counted]
    joint = np.bincount(pairs, minlength=num_regions * num_labels).reshape(num_regions, num_labels)
    best = joint.argmax(1)
    sizes = np.bincount(ids[ids >= 0], minlength=num_regions)
    best = np.where(joint.max(1) > share * sizes, best, -1)
    return np.where(regions < 0, -1, np.where(found >= 0, found, best[regions])).astype(np.int32)
