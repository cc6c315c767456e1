"""Optical flow by its name on the command line."""

from functools import lru_cache

import numpy as np

from tessella.errors import InputError
from tessella.pooling.flow import Flow, interpolated_flow, optical_flow
from tessella.runs.user_code import load_function


@lru_cache
def load_flow(name: str) -> Flow:
    """``dis`` is ``optical_flow``, ``interpolated`` is ``interpolated_flow``, ``file.py:function`` the user's own.

    Raises InputError where there is none of that name, and at a call where the user's gives anything but finite
    [H, W, 2] of the image's size.
    """
    if name == "dis":
        return optical_flow
    if name == "interpolated":
        return interpolated_flow
    if ":" not in name:
        raise InputError(f"there is no flow {name}: choose dis, interpolated or file.py:function")
    function = load_function(name)

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        found = np.asarray(function(first, second))
        if found.shape != (*first.shape[:2], 2) or not np.isfinite(found).all():
            raise InputError(
                f"{name}: gave {found.dtype} {list(found.shape)} for frames of {list(first.shape[:2])}: "
                "give finite numbers [H, W, 2], pixels to the right and down"
            )
        return found.astype(np.float32)

    return flow
