"""Where long work is done: processes of this machine, or a cluster."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from tessella.errors import InputError

T = TypeVar("T")


@contextmanager
def executor(workers: int, scheduler: str | None, option: str = "--workers") -> Iterator[Executor]:
    """So many processes of this machine, or a Dask cluster by its address.

    option: that ``workers`` comes from. InputError where neither is to be had, or the system ended a process. Ctrl-C,
    which a terminal sends to the workers too, is a KeyboardInterrupt of what is being done, and here by its result, or
    when more is handed out; pressed again, at once.
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
    local = _Processes(workers, context, _start_worker)
    before = signal.getsignal(signal.SIGINT)
    try:
        with _held_back():  # in workers, which inherit that, until they have started
            for _ in range(workers):
                local.submit(int)  # starts one
            signal.signal(signal.SIGINT, local.interrupt)
        yield local
        local.require_uninterrupted()
    except BrokenProcessPool as error:
        if not local.interrupted:
            time.sleep(0.5)
        local.require_uninterrupted()
        raise InputError(
            f"{option} {workers}: the system ended one, perhaps for lack of memory; give fewer and run again"
        ) from error
    finally:
        local.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, before)


@contextmanager
def _held_back() -> Iterator[None]:
    """Ctrl-C comes afterwards."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class _Processes(ProcessPoolExecutor):
    """Ctrl-C raises nothing inside the pool, here or in a worker: its locks would stay locked, others wait."""

    interrupted = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the user insists
            signal.default_int_handler(number, frame)
        self.interrupted = True

    def require_uninterrupted(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt from None

    def submit(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        self.require_uninterrupted()
        return super().submit(partial(_WORKER.do, work), *arguments, **options)


class _Worker:
    """Ctrl-C interrupts work, and what was handed out before and is not begun."""

    interrupted = False
    at_work = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        if self.at_work:
            signal.default_int_handler(number, frame)

    @staticmethod
    def do(work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        _WORKER.at_work = True
        try:
            if _WORKER.interrupted:
                raise KeyboardInterrupt
            return work(*arguments, **options)
        except KeyboardInterrupt:  # also of work that noticed Ctrl-C itself
            _WORKER.interrupted = True
            raise
        finally:
            _WORKER.at_work = False


_WORKER = _Worker()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, _WORKER.interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


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
