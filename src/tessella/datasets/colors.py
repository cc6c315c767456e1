"""Colours for classes that come without."""


def distinct_colors(count: int) -> list[tuple[int, int, int]]:
    """The colour map of the PASCAL VOC development kit without its black: colours that differ early on.

    The bits of i + 1, three at a time, give the bits of red, green and blue from the highest down.
    """

    def channel(code: int, shift: int) -> int:
        return sum((code >> (3 * k + shift) & 1) << (7 - k) for k in range(3))

    return [(channel(code, 0), channel(code, 1), channel(code, 2)) for code in range(1, count + 1)]
