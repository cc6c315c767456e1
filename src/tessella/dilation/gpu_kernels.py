"""Triton kernels that sample columns, and their adjoint: a program owns a block of what it writes."""

import triton
import triton.language as tl


@triton.jit
def _tap(offset):  # type: ignore[no-untyped-def]
    """The first pixel that a tap reads, and the next one's share."""
    offset = tl.load(offset)
    base = tl.floor(offset)
    # Further out everything is zero; a wild offset must not leave the range of whole numbers.
    return tl.clamp(base, -(2.0**28), 2.0**28).to(tl.int32), offset - base


@triton.jit
def _within(place, size):  # type: ignore[no-untyped-def]
    # Read without its sign, what lies before zero lies beyond everything: one comparison does for both.
    return tl.cast(place, tl.uint32, bitcast=True) < tl.cast(size, tl.uint32)


@triton.jit
def _along(place, x, width, share, inside, moves, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """Between the pixel at ``place``, column x of its row, and the next one; the slope too, where it ``moves``."""
    value = tl.load(place, mask=inside & _within(x, width), other=0.0).to(KIND)
    slope = tl.zeros_like(value)
    if share != 0:
        slope = tl.load(place + 1, mask=inside & _within(x + 1, width), other=0.0).to(KIND) - value
        value += share * slope
    elif moves:
        slope = tl.load(place + 1, mask=inside & _within(x + 1, width), other=0.0).to(KIND)
        slope -= tl.load(place - 1, mask=inside & _within(x - 1, width), other=0.0).to(KIND)
        slope *= 0.5
    return value, slope


@triton.jit
def sample_kernel(  # type: ignore[no-untyped-def]
    image,
    offsets_h,
    offsets_w,
    columns,
    grad_columns,
    slopes,
    first,
    height,
    width,
    length,
    out_width,
    channels,
    blocks,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """All taps of one channel over a block of output pixels.

    Where a tap falls on a pixel its derivative is the mean of both sides, for which more is read.
    """
    # Programs that run at one time shall read and write near each other.
    plane, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    c = plane % channels
    image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * length
    if GRADIENT:
        grad_columns += plane.to(tl.int64) * KH * KW * length
    kind = offsets_h.dtype.element_ty

    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < length
    # Beyond the last row columns are read too, and multiplied by zero: they only must be numbers.
    top, left = stride_h * (first + pixel // out_width), stride_w * (pixel % out_width)
    total = tl.zeros([BLOCK], kind)
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        step_h = (2 * i - (KH - 1)) * 0.5
        moves_h = (step_h != 0) & GRADIENT
        y = top + at_h
        on_row, on_next = inside & _within(y, height), inside & _within(y + 1, height)
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            moves_w = (2 * j != KW - 1) & GRADIENT
            x = left + at_w
            place = image + (y * width + x)
            value, slope_w = _along(place, x, width, share_w, on_row, moves_w, kind)
            slope_h = tl.zeros_like(value)
            if share_h != 0:
                lower, lower_slope = _along(place + width, x, width, share_w, on_next, moves_w, kind)
                slope_h = lower - value
                value += share_h * slope_h
                slope_w += share_h * (lower_slope - slope_w)
            elif moves_h:
                on_last = inside & _within(y - 1, height)
                lower, _ = _along(place + width, x, width, share_w, on_next, False, kind)
                upper, _ = _along(place - width, x, width, share_w, on_last, False, kind)
                slope_h = (lower - upper) * 0.5
            column = (i * KW + j) * length + pixel
            if GRADIENT:
                grad = tl.load(grad_columns + column, mask=inside, other=0.0).to(kind)
                total += grad * (step_h * slope_h + (2 * j - (KW - 1)) * 0.5 * slope_w)
            tl.store(columns + column, value.to(columns.dtype.element_ty), mask=inside)
    if GRADIENT:
        tl.store(slopes + tl.program_id(0), tl.sum(total))


@triton.jit
def _output(distance, stride, first, size):  # type: ignore[no-untyped-def]
    """The output that lies ``distance`` pixels from the origin, counted from ``first``; and whether there is one."""
    place = distance // stride - first  # rounded towards zero, but then the remainder is not zero
    return place, (distance % stride == 0) & _within(place, size)


@triton.jit
def _against(tap, line, x, stride, width, share, inside, KIND: tl.constexpr):  # type: ignore[no-untyped-def]
    """Adjoint of ``_along``: what the outputs of a line give back to a pixel, x from where the first one reads."""
    place, meets = _output(x, stride, 0, width)
    value = tl.load(tap + (line + place), mask=inside & meets, other=0.0).to(KIND)
    if share != 0:
        place, meets = _output(x - 1, stride, 0, width)
        value += share * (tl.load(tap + (line + place), mask=inside & meets, other=0.0).to(KIND) - value)
    return value


@triton.jit
def spread_kernel(  # type: ignore[no-untyped-def]
    columns,
    offsets_h,
    offsets_w,
    grad_image,
    first,
    height,
    width,
    rows,
    out_width,
    length,
    channels,
    blocks,
    stride_h,
    stride_w,
    KH: tl.constexpr,
    KW: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A block of pixels of one channel: what all outputs that read it give back."""
    plane, block = tl.program_id(0) // blocks, tl.program_id(0) % blocks
    c = plane % channels
    grad_image += plane.to(tl.int64) * height * width
    columns += plane.to(tl.int64) * KH * KW * length
    kind = offsets_h.dtype.element_ty

    pixel = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    y, x = pixel // width, pixel % width
    total = tl.zeros([BLOCK], kind)
    for i in range(KH):
        at_h, share_h = _tap(offsets_h + c * KH + i)
        row, meets = _output(y - at_h, stride_h, first, rows)
        line, on_row = row * out_width, inside & meets
        row, meets = _output(y - at_h - 1, stride_h, first, rows)
        next_line, on_next = row * out_width, inside & meets
        for j in tl.static_range(KW):
            at_w, share_w = _tap(offsets_w + c * KW + j)
            tap = columns + (i * KW + j) * length
            from_w = x - at_w
            value = _against(tap, line, from_w, stride_w, out_width, share_w, on_row, kind)
            if share_h != 0:
                far = _against(tap, next_line, from_w, stride_w, out_width, share_w, on_next, kind)
                value += share_h * (far - value)
            total += value
    if ADD:
        total += tl.load(grad_image + pixel, mask=inside, other=0.0)
    tl.store(grad_image + pixel, total, mask=inside)
