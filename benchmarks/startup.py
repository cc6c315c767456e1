"""How long the user waits for the command to answer: ``import tessella`` and ``tessella --help``, beside bare Python;
and what ``tessella predict`` and ``tessella train`` load before they begin, beside torch, which both need.

Method: each command runs 15 times, all in turn; medians. ``python benchmarks/startup.py``.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tessella.files import write_json
from tessella.runs.environment import environment

COMMANDS = {
    "bare_python": ["-c", "pass"],
    "import_tessella": ["-c", "import tessella"],
    "tessella_help": ["-m", "tessella.cli", "--help"],
    "import_torch": ["-c", "import torch"],
    "import_predict": ["-c", "import tessella.commands.predict"],
    "import_train": ["-c", "import tessella.commands.train"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(15):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    result = {**{name: round(median(times), 4) for name, times in seconds.items()}, **environment()}
    write_json(Path(__file__).parent / "results" / "startup.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
