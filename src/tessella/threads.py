"""Run work in the threads that PyTorch already has."""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch


def in_threads(work: Callable[[], None], threads: int) -> None:
    """Call ``work`` once in each of PyTorch's own threads, or of others where those cannot be had.

    PyTorch's threads go on spinning for milliseconds after an operation, in which others would have to share cores.
    """
    if threads < 2:
        work()
        return
    errors: list[BaseException] = []

    def guarded(*_: Any) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    openmp = _openmp()
    if openmp is not None:
        openmp.GOMP_parallel(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(guarded), None, threads, 0)
    else:
        others = [_helpers().submit(guarded) for _ in range(threads - 1)]
        guarded()
        wait(others)
    if errors:
        raise errors[0]


@lru_cache(maxsize=1)
def _openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP library that PyTorch brings and has loaded, None where it uses another."""
    try:
        return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libgomp.so.1"), os.RTLD_NOLOAD)
    except (OSError, AttributeError):
        return None


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "tessella")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork
