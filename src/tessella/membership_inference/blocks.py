"""Who is a member: coins flipped over blocks of video, so that neither side has frames that are nearly the other's."""

import re
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from tessella.errors import InputError

DROPPED = -1


class Frame(NamedTuple):
    """Where an image lies in video. time: in any unit that is the same for all of a sequence."""

    sequence: str
    time: float


def frame_of(name: str) -> Frame:
    """The video is what is before the last number of a name, the time is that number; none: a video of one frame.

    What follows the number does not count: ``12_left`` and ``12_right`` are of one time. Folders' numbers are none.
    """
    found = re.fullmatch(r"(.*?)(\d+)[^\d/]*", name)
    return Frame(found[1], int(found[2])) if found else Frame(name, 0)


def blocks(frames: Sequence[Frame], length: float, buffer: float) -> Int[np.ndarray, " images"]:
    """The block of each image, from 0, or ``DROPPED``.

    A sequence is cut every ``length`` of its time, from its first frame. Frames less than ``buffer`` before a cut are
    dropped where others follow: no two blocks come nearer than that.

    Raises InputError for a length or buffer that leaves nothing.
    """
    if not 0 <= buffer < length:
        raise InputError(f"blocks: of length {length} with a buffer of {buffer}; give 0 <= buffer < length")
    numbers: dict[tuple[str, int], int] = {}
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for name, time in frames:
        first[name], last[name] = min(first.get(name, time), time), max(last.get(name, time), time)
    found = np.full(len(frames), DROPPED)
    for place in sorted(range(len(frames)), key=lambda place: frames[place]):
        name, time = frames[place]
        number, inside = divmod(time - first[name], length)
        follows = last[name] - first[name] >= (number + 1) * length
        if not follows or inside < length - buffer:
            found[place] = numbers.setdefault((name, int(number)), len(numbers))
    return found


def numbered(blocks: Sequence[Hashable]) -> Int[np.ndarray, " images"]:
    """Equal blocks have equal numbers, from 0 in the order in which they come."""
    numbers = {block: number for number, block in enumerate(dict.fromkeys(blocks))}
    return np.array([numbers[block] for block in blocks], dtype=int)


def folds(blocks: Sequence[Hashable], number: int, seed: int) -> Int[np.ndarray, " images"]:
    """Blocks put together at random to so many folds of about as many blocks; images of a block are in one fold."""
    of_image = numbered(blocks)
    order = np.random.default_rng(seed).permutation(of_image.max(initial=-1) + 1)
    return (order % number)[of_image]


def coin_flips(
    of_image: Int[np.ndarray, " images"], models: int, seed: int = 0
) -> Bool[np.ndarray, "models images"]:
    """Which images each of several models is trained on: every block in half of them, which half by chance.

    of_image: as ``blocks`` gives them; dropped images are in no model, and must not serve as non-members either.
    An odd number of models has each block in one more or one fewer.
    """
    if models < 1:
        raise InputError(f"models: {models}; give at least 1")
    rng = np.random.default_rng(seed)
    count = int(of_image.max(initial=DROPPED)) + 1
    halves = np.array([rng.permutation(models) for _ in range(count)]).reshape(count, models).T
    chosen = halves < models // 2 + rng.integers(0, models % 2 + 1, count)
    return np.pad(chosen, ((0, 0), (0, 1)))[:, of_image]  # the last column is for those that are dropped
