"""Processes of this machine that work side by side, and end cleanly where Ctrl-C is pressed."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def processes(number: int, start: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Executor]:
    """So many, each of which first calls ``start`` with ``arguments``.

    Ctrl-C, which a terminal sends to all of them, is a KeyboardInterrupt of the work that is being done, and here by
    its result, when more is handed out, or at the end; pressed again, at once. What is not begun then never is.
    """
    # A fresh interpreter for each: forking is not safe once other libraries have started threads.
    context = multiprocessing.get_context("spawn")
    pool = _Pool(number, context, _start, (start, arguments))
    former = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()  # only that may handle signals
    try:
        # Until it is known what to do then, which the processes inherit.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(number):
                pool.submit(int)  # starts one
            if main:
                signal.signal(signal.SIGINT, pool.interrupt)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield pool
        pool.require_uninterrupted()
    except BrokenProcessPool:
        pool.require_uninterrupted()  # which is then the reason
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        if main:
            signal.signal(signal.SIGINT, former)


class _Pool(ProcessPoolExecutor):
    """Ctrl-C raises nothing inside it, here or in a process: its locks would stay locked, and others wait for them."""

    interrupted = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:  # the user insists
            signal.default_int_handler(number, frame)
        self.interrupted = True

    def require_uninterrupted(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt

    def submit(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        self.require_uninterrupted()
        return super().submit(partial(_do, work), *arguments, **options)


class _Here:
    """In one of the processes: whether Ctrl-C was pressed, and whether it may interrupt what is being done."""

    interrupted = False
    at_work = False


def _start(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if start is not None:
        start(*arguments)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _Here.interrupted = True
    if _Here.at_work:
        signal.default_int_handler(number, frame)


def _do(work: Callable[..., T], *arguments: Any, **options: Any) -> T:
    _Here.at_work = True
    try:
        if _Here.interrupted:
            raise KeyboardInterrupt
        return work(*arguments, **options)
    except KeyboardInterrupt:  # also of work that handles Ctrl-C itself
        _Here.interrupted = True
        raise
    finally:
        _Here.at_work = False
