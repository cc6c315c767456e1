"""Where long work is done: processes of this machine, or a cluster."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tessella.errors import InputError


@contextmanager
def executor(workers: int, scheduler: str | None, option: str = "--workers") -> Iterator[Executor]:
    """So many processes of this machine, or a Dask cluster by its address.

    option: that ``workers`` comes from. InputError where neither is to be had, or the system ended a process. Ctrl-C
    is a KeyboardInterrupt whatever is noticed first: it, or the end of the processes, which it reaches too.
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
    # A fresh interpreter per worker: forking is not safe once other libraries have started threads.
    context = multiprocessing.get_context("spawn")
    local = ProcessPoolExecutor(workers, context, _start_worker)
    pressed = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        pressed.append(number)  # an exception that is raised in clean-up code gets lost
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which workers inherit until they have started
    try:
        for _ in range(workers):
            local.submit(int)  # starts one
        signal.signal(signal.SIGINT, interrupt)
        yield local
    except BrokenProcessPool as error:
        if not pressed:
            time.sleep(0.5)
        if pressed:
            raise KeyboardInterrupt from None
        raise InputError(
            f"{option} {workers}: the system ended one, perhaps for lack of memory; give fewer and run again"
        ) from error
    finally:
        local.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it silently: its files are complete or absent


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
