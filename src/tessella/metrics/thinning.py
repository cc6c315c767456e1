"""Thinning of masks to lines one pixel wide (Guo and Hall, "Parallel thinning with two-subiteration algorithms",
Communications of the ACM, 1989).

A mask's rows are packed into words of 64 pixels, and every step is a formula of whole words: an image of two
million pixels is 32,768 of them.
"""

import numpy as np
from jaxtyping import Bool, UInt64

Words = UInt64[np.ndarray, "height words"]

PIXELS = 64
"""In a word; the leftmost is the lowest bit."""


def thinned(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Lines one pixel wide in the middle of what is set, as connected as it was.

    Pixels at the border of the image, whose neighbours are not known, stay set.
    """
    height, width = mask.shape
    padding = -width % PIXELS
    packed = np.packbits(np.pad(mask, ((0, 0), (0, padding))), axis=1, bitorder="little")
    words = packed.view("<u8").astype(np.uint64)
    inner = np.zeros((height, width + padding), dtype=bool)
    inner[1:-1, 1 : width - 1] = True
    may_go = np.packbits(inner, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    changed = True
    while changed:
        before = words
        words = words & ~(_deletable(words, second=False) & may_go)
        words = words & ~(_deletable(words, second=True) & may_go)
        changed = not np.array_equal(words, before)
    pixels = np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return pixels[:, :width].astype(bool)


def _deletable(words: Words, second: bool) -> Words:
    """Where the neighbourhood lets a pixel go in the first or the second half of an iteration.

    Its neighbours form one piece (``connected``). It is not the end of a line: at least two pairs of adjacent
    neighbours hold one, whichever way they are paired; nor inside a region: not all pairs do in both ways. And
    it lies on a side that this half takes from: south and west in the first, north and east in the second.
    """
    w, e = _from_left(words), _from_right(words)
    nw, n, ne = _row_above(w), _row_above(words), _row_above(e)
    sw, s, se = _row_below(w), _row_below(words), _row_below(e)
    pairs, other_pairs = (nw | n, ne | e, se | s, sw | w), (n | ne, e | se, s | sw, w | nw)

    a, b, c, d = ~n & pairs[1], ~e & pairs[2], ~s & pairs[3], ~w & pairs[0]
    connected = (a ^ b ^ c ^ d) & ~((a & b) | (c & d))  # exactly one
    two, four = _two_and_four(*pairs)
    other_two, other_four = _two_and_four(*other_pairs)
    kept_side = (n | ne | ~se) & e if second else (s | sw | ~nw) & w
    return connected & two & other_two & ~(four & other_four | kept_side)


def _two_and_four(a: Words, b: Words, c: Words, d: Words) -> tuple[Words, Words]:
    """Where at least two are set, and where all four are."""
    both_first, both_last = a & b, c & d
    return both_first | both_last | ((a | b) & (c | d)), both_first & both_last


def _from_left(words: Words) -> Words:
    """The left neighbour of every pixel."""
    moved = words << np.uint64(1)
    moved[:, 1:] |= words[:, :-1] >> np.uint64(PIXELS - 1)
    return moved


def _from_right(words: Words) -> Words:
    """The right neighbour of every pixel."""
    moved = words >> np.uint64(1)
    moved[:, :-1] |= words[:, 1:] << np.uint64(PIXELS - 1)
    return moved


def _row_above(words: Words) -> Words:
    return np.vstack([np.zeros_like(words[:1]), words[:-1]])


def _row_below(words: Words) -> Words:
    return np.vstack([words[1:], np.zeros_like(words[:1])])
