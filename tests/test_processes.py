"""Ctrl-C ends processes that work side by side, at whatever moment it comes."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tessella.processes import processes

PROGRAM = """
from tessella.processes import processes

if __name__ == "__main__":
    with processes(2) as pool:
        for batch in range(10**6):
            for future in [pool.submit(abs, number) for number in range(8)]:
                future.result()
            if batch == 5:
                print("at work", flush=True)
"""


@pytest.mark.parametrize("seconds", [0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_ends_them(seconds: float, tmp_path: Path) -> None:
    """In a queue, whose lock must not stay locked, or before one of them has started."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == -signal.SIGINT  # what Python makes of a KeyboardInterrupt
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_a_thread_may_have_some() -> None:
    """Only the main one may handle signals."""

    def work() -> list[int]:
        with processes(1) as pool:
            return list(pool.map(abs, [-1, 2]))

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(work).result() == [1, 2]
