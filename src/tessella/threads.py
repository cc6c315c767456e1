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
    What ``work`` asks of PyTorch is done in its own thread, without gradients.
    """
    if threads < 2:
        with torch.no_grad():
            work()
        return
    errors: list[BaseException] = []
    inference = torch.is_inference_mode_enabled()  # modes belong to a thread

    def guarded() -> None:
        try:
            with torch.inference_mode(inference), torch.no_grad():
                work()
        except BaseException as error:
            errors.append(error)

    openmp = _openmp()
    if openmp is not None:

        def alone(_: Any) -> None:
            openmp.omp_set_num_threads(1)  # until the end of this call
            guarded()

        openmp.GOMP_parallel(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(alone), None, threads, 0)
    else:
        before = torch.get_num_threads()
        others = [_helpers().submit(guarded) for _ in range(threads - 1)]
        try:
            torch.set_num_threads(1)
            guarded()
            wait(others)
        finally:
            torch.set_num_threads(before)
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
    return ThreadPoolExecutor(
        torch.get_num_threads(), "tessella", initializer=torch.set_num_threads, initargs=(1,)
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork
