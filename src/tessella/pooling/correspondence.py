"""Which region of another frame is which region of the target frame (thesis, section 3.2.1)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import cv2
import numpy as np

from tessella.errors import InputError
from tessella.pooling.flow import Motion, positions
from tessella.pooling.ids import label_map

TABLE = 2**27
"""Pairs of a frame's region and a target's that are counted at most: a gigabyte."""


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

    Raises InputError where frames or flows are missing or of other sizes, and where ids are not whole numbers from 0
    (less: none) to the number of pixels.
    """
    return match(regions, [Motion(*pair) for pair in flows], target, share)


def match(
    regions: Sequence[np.ndarray], motions: Sequence[Motion], target: int, share: float = 0.5
) -> np.ndarray:
    """``correspondences`` where motion is at hand: whoever matches several targets of one video makes it once."""
    if len(motions) != len(regions) - 1:
        raise InputError(
            f"{len(regions)} frames have {len(regions) - 1} flows between them, {len(motions)} given"
        )
    if not 0 <= target < len(regions):
        raise InputError(f"target {target}: there are {len(regions)} frames")
    maps_of_frames = [label_map(each, f"regions of frame {number}") for number, each in enumerate(regions)]
    wanted = maps_of_frames[target]
    _require_one_size(wanted, maps_of_frames, motions)
    maps = np.empty((len(regions), *wanted.shape), np.int32)
    maps[target] = wanted
    later = follow(wanted.shape[-2:], ((m.backward, m.backward_holds) for m in motions[target:]))
    earlier = follow(wanted.shape[-2:], ((m.forward, m.forward_holds) for m in motions[:target][::-1]))
    for frame, origin in chain(
        zip(range(target + 1, len(regions)), later, strict=True),
        zip(range(target - 1, -1, -1), earlier, strict=True),
    ):
        maps[frame] = vote(origin.read(wanted), maps_of_frames[frame], share)
    return maps


def _require_one_size(wanted: np.ndarray, regions: Sequence[np.ndarray], motions: Sequence[Motion]) -> None:
    size = wanted.shape[-2:]
    for number, each in enumerate(regions):
        if each is not wanted and each.shape != size:
            raise InputError(
                f"regions of frame {number} are {list(each.shape)}, the target's {list(size)}: give one size"
            )
    for number, motion in enumerate(motions):
        for flow in (motion.forward, motion.backward):
            if flow.shape != (*size, 2):
                raise InputError(
                    f"flow {number} is {list(flow.shape)}, the target {list(size)}: give [H, W, 2] of its size"
                )


def follow(shape: tuple[int, ...], steps: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator["Origin"]:
    """Where the pixels of each next frame were in the target, a picture of ``shape`` (height, width).

    steps: away from the target; flow from each next frame back, [H, W, 2], and where it holds, [H, W].
    """
    origin = Origin.of(shape)
    for back, holds in steps:
        origin = origin.next(back, holds)
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

    def next(self, back: np.ndarray, holds: np.ndarray) -> "Origin":
        """Of the next frame's pixels: ``back`` is flow from it to this frame, to be believed where it ``holds``."""
        x, y = positions(back)
        known = cv2.remap(self.known.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderValue=0) > 0
        return Origin(
            cv2.remap(self.x, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            cv2.remap(self.y, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            known & holds,
        )

    def read(self, labels: np.ndarray) -> np.ndarray:
        """The target's labels [..., H, W], seen from here; -1 where they are not known."""
        if labels.ndim > 2:
            return np.stack([self.read(level) for level in labels])
        # Of whole numbers: float32 has no room for the ids of 17 million pixels.
        found = cv2.remap(
            labels.astype(np.int32, copy=False), self.x, self.y, cv2.INTER_NEAREST, borderValue=-1
        )
        return np.where(self.known, found, -1)


def vote(found: np.ndarray, regions: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Fill in what was not found: each region's most frequent label, if more than ``share`` of it was found with it.

    found: [..., H, W], -1 where not found. regions: [H, W]; what is in none, -1, has no label either.
    """
    if found.ndim > 2:
        return np.stack([vote(level, regions, share) for level in found])
    columns = int(found.max()) + 2
    if columns == 1:
        return np.full(regions.shape, -1, np.int32)
    rows = int(regions.max()) + 2
    if rows * columns > TABLE:
        raise InputError(
            f"{rows - 1} regions of a frame and {columns - 1} of the target are too many pairs to count: give fewer"
        )
    # The first row is for pixels without a region, the first column for those that were not found.
    pairs = (regions.ravel() + 1) * np.int64(columns) + found.ravel() + 1
    joint = np.bincount(pairs, minlength=rows * columns).reshape(-1, columns)
    best, most = joint[:, 1:].argmax(1), joint[:, 1:].max(1)
    brought = np.where(most > share * joint.sum(1), best, -1).astype(np.int32)
    brought[0] = -1
    return np.where((found >= 0) & (regions >= 0), found, brought[regions + 1])
