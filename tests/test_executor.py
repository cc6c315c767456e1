"""Ctrl-C ends work in several processes, whatever they are about."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os
from tessella.commands.executor import executor

if __name__ == "__main__":
    try:
        with executor(2, None) as pool:
            number = 0
            while True:
                waiting = [pool.submit(abs, number) for number in range(8)]
                for future in waiting:
                    future.result()
                number += 1
                if number == 5:
                    print("at work", flush=True)
    except KeyboardInterrupt:
        raise SystemExit(130)
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.8])
def test_ctrl_c_ends_a_pool(seconds: float, tmp_path: Path) -> None:
    """A process that dies in a queue leaves its lock to nobody; so does one that is interrupted there."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"at work\n"  # one of two; the other has not started yet, or just now
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    try:
        assert process.wait(timeout=60) == 130
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
