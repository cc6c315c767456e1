"""The texture bank: fixed procedural pictures with mipmaps, looked up for all pixels of a frame at once."""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from tessella.scenes.patterns import SIDE, clouds
from tessella.scenes.room_patterns import ROOM_PATTERNS
from tessella.scenes.street_patterns import STREET_PATTERNS
from tessella.scenes.vehicle_patterns import VEHICLE_PATTERNS

_LEVELS = 8
_PATTERNS = {**STREET_PATTERNS, **VEHICLE_PATTERNS, **ROOM_PATTERNS}
_NAMES = {name: index for index, name in enumerate(_PATTERNS)}


class _Bank(NamedTuple):
    texels: np.ndarray  # [texels] uint32: RGBA of all textures and levels, one after the other
    offset: np.ndarray  # [T, levels]: where a level of a texture starts
    masks: np.ndarray  # [T, SIDE, SIDE] bool: where a texture is solid
    has_alpha: np.ndarray  # [T] bool


def texture_index(name: str) -> int:
    """Position of a texture in the bank."""
    return _NAMES[name]


def alpha_masks() -> tuple[np.ndarray, np.ndarray]:
    """Where textures are solid [T, SIDE, SIDE], and whether they have holes at all [T]."""
    bank = _bank()
    return bank.masks, bank.has_alpha


@cache
def _bank() -> _Bank:
    """Drawn once per process from fixed seeds: all scenes share it."""
    levels, offsets, masks, start = [], [], [], 0
    for index, draw in enumerate(_PATTERNS.values()):
        picture = draw(np.random.default_rng(index))
        if picture.shape[2] == 3:
            picture = np.dstack([picture, np.ones((SIDE, SIDE))])
        masks.append(picture[..., 3] > 0.5)
        offset = []
        for level in range(_LEVELS):
            side = SIDE >> level
            small = cv2.resize(picture.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
            levels.append(np.round(np.clip(small, 0, 1) * 255).astype(np.uint8).reshape(-1, 4))
            offset.append(start)
            start += side * side
        offsets.append(offset)
    texels = np.ascontiguousarray(np.concatenate(levels)).view(np.uint32).ravel()
    solid = np.stack(masks)
    return _Bank(texels, np.array(offsets, np.int32), solid, np.array([not mask.all() for mask in masks]))


def sample(texture: np.ndarray, across: np.ndarray, up: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Colours [N, 3] float32 in 0..1 by bilinear interpolation in the nearest mip level.

    texture: [N] indices. across, up: [N] coordinates in repetitions of the texture. footprint: [N]
    repetitions per pixel, which decides the level.
    """
    bank = _bank()
    level = np.clip(np.log2(np.maximum(footprint, 1e-6) * SIDE) + 0.3, 0, _LEVELS - 1).astype(np.int32)
    side = np.right_shift(SIDE, level)
    start = bank.offset[texture, level]
    x, y = across * side - np.float32(0.5), -up * side - np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    share_x, share_y = (x - left)[:, None], (y - top)[:, None]
    last = side - 1
    column, row = left.astype(np.int32), top.astype(np.int32)
    columns = column & last, (column + 1) & last
    rows = start + (row & last) * side, start + ((row + 1) & last) * side

    def texel(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return bank.texels[row + column].view(np.uint8).reshape(-1, 4)[:, :3].astype(np.float32)

    upper = texel(rows[0], columns[0])
    upper += share_x * (texel(rows[0], columns[1]) - upper)
    lower = texel(rows[1], columns[0])
    lower += share_x * (texel(rows[1], columns[1]) - lower)
    upper += share_y * (lower - upper)
    return upper * np.float32(1 / 255)


@cache
def noise_picture() -> np.ndarray:
    """Smooth noise [SIDE, SIDE] float32 of mean 0 and deviation 1, repeating in both directions."""
    return clouds(np.random.default_rng(0), 1.3).astype(np.float32)
