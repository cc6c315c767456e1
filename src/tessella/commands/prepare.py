"""tessella data prepare: HHA, regions, flow and correspondences of a video data set."""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from rich.progress import MofNCompleteColumn, Progress

from tessella.datasets import NYUDv2
from tessella.datasets.file_dataset import FileDataset
from tessella.datasets.prepared_folder import PreparedFolder
from tessella.errors import InputError
from tessella.reports.region_statistics import count_regions, draw_regions
from tessella.runs.preparation import Settings, prepare


def run(options: argparse.Namespace, reader: type[FileDataset]) -> None:
    # Absolute, since a cluster's workers may stand in another folder.
    root = options.path.absolute()
    out = options.out.absolute() if options.out else root / "prepared"
    # The labelled frames of NYUDv2 lie in raw video at 30 frames a second; its authors' window takes every third.
    usual = 3 if reader is NYUDv2 else 1
    step = usual if options.step is None else options.step
    settings = Settings(options.regions, options.window, step, options.match)
    try:
        with (
            _executor(options) as executor,
            Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True) as bar,
        ):
            task = bar.add_task("Preparing", total=None)
            splits = prepare(
                reader,
                root,
                out,
                executor,
                settings,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        if _was_interrupted(error):
            print("tessella: what is finished stays; the same command goes on from there", file=sys.stderr)
            raise KeyboardInterrupt from None
        raise InputError(
            f"--workers {options.workers}: the system ended one, perhaps for lack of memory; give fewer and run again"
        ) from error
    print(f"Prepared {', '.join(splits)} in {out}")
    if settings.window > 0 and settings.match == "regions":
        statistics = count_regions(PreparedFolder(out))
        draw_regions(statistics).savefig(out / "regions.png", dpi=150, facecolor="white")
        print(
            f"In another frame, the regions of {statistics.covered:.0%} of a picture's pixels are found again; "
            f"by their size: {out / 'regions.png'}"
        )


def _was_interrupted(error: BaseException | None) -> bool:
    """Ctrl-C reaches us and the workers in any order: their end may be noticed first, or while we clean up."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    try:
        time.sleep(0.5)
    except KeyboardInterrupt:
        return True
    return False


@contextmanager
def _executor(options: argparse.Namespace) -> Iterator[Executor]:
    if options.scheduler:
        with _client(options.scheduler) as client:
            cluster = client.get_executor(pure=False)
            try:
                yield cluster
            finally:
                cluster.shutdown(wait=False)  # so Dask forgets what is not begun
        return
    if options.workers < 1:
        raise InputError(f"--workers {options.workers}: give at least 1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for NumPy in the workers: the cores have one each already
    # A fresh interpreter per worker: forking is not safe once other libraries have started threads.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(options.workers, context, _start_worker)
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which workers inherit until they have started
        for _ in range(options.workers):
            executor.submit(int)  # starts one
        signal.signal(signal.SIGINT, before)
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


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
