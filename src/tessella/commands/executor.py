"""Where long work is done: processes of this machine, or a cluster."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from tessella.errors import InputError
from tessella.processes import processes


@contextmanager
def executor(workers: int, scheduler: str | None, option: str = "--workers") -> Iterator[Executor]:
    """So many processes of this machine, or a Dask cluster by its address.

    option: that ``workers`` comes from. InputError where neither is to be had, or the system ended a process. Ctrl-C
    is as ``processes`` describes.
    """
    if scheduler:
        with _client(scheduler) as client:
            cluster = client.get_executor(pure=False)
            try:
                yield cluster
            finally:
                cluster.shutdown(wait=False)  # so Dask forgets what is not begun
        return
    if workers < 1:
        raise InputError(f"{option} {workers}: give at least 1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for NumPy in the workers: the cores have one each already
    try:
        with processes(workers) as local:
            yield local
    except BrokenProcessPool as error:
        raise InputError(
            f"{option} {workers}: the system ended one, perhaps for lack of memory; give fewer and run again"
        ) from error


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler: needs Dask; run 'pip install tessella[cluster]'") from error
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--scheduler {address}: no Dask scheduler answers there; give its address, as tcp://host:8786"
        ) from error
