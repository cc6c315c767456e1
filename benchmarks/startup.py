"""How long the user waits for the command to answer: ``import tessella`` and ``tessella --help``, beside bare Python;
and what ``tessella predict`` and ``tessella train`` load before they begin, beside torch, which both need.

Method: each command runs 15 times, all in turn; medians. ``python benchmarks/startup.py``.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from timing import taking_turns  # beside this file

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
    def starting(command: list[str]) -> Callable[[], object]:
        return partial(subprocess.run, [sys.executable, *command], check=True, capture_output=True)

    seconds = taking_turns({name: starting(command) for name, command in COMMANDS.items()}, 15)
    result = {**{name: round(median(times), 4) for name, times in seconds.items()}, **environment()}
    write_json(Path(__file__).parent / "results" / "startup.json", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
