"""Scripts that train on several processes, each of which runs the whole script."""

import os
import subprocess
import sys
from pathlib import Path


def run_script(name: str, *arguments: object) -> None:
    """Of this folder, to its end, which must be a good one."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(Path(__file__).parent / name), *map(str, arguments)]
    subprocess.run(command, check=True, env=environment, timeout=300)
