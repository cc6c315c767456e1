"""Where and with what a run took place."""

import datetime
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from tessella.errors import InputError
from tessella.files import read_object, write_json
from tessella.runs.configuration import to_json
from tessella.training.machine import Machine

OF_MACHINE = ("devices", "nodes", "accelerator", "precision")
"""What a resumed run takes over of where it began."""

PACKAGES = ("tessella", "torch", "lightning", "numpy", "opencv-contrib-python-headless")


def environment() -> dict[str, Any]:
    """Date, machine, versions and, in a git checkout of the package, the commit."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def command() -> list[str]:
    """The command line of this process, as the user would type it again."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_run(run: Path, recipe: str, data: Path, config: Any, machine: Machine) -> None:
    """``config.json`` and ``environment.json`` of a training, which resuming and reports read."""
    write_json(
        run / "config.json", {"recipe": recipe, "data": str(data.resolve()), "config": to_json(config)}
    )
    write_json(
        run / "environment.json",
        {
            **environment(),
            "command": command(),
            "seed": config.seed,
            **{name: getattr(machine, name) for name in OF_MACHINE},
        },
    )


_OTHERWISE = "restore it, or begin anew in another --out"


def described_machine(run: Path) -> dict[str, Any]:
    """What the ``environment.json`` of a training says of ``Machine``; nothing where there is none."""
    file = run / "environment.json"
    saved = read_object(file, _OTHERWISE) if file.exists() else {}
    return {name: saved[name] for name in OF_MACHINE if name in saved}


def described_run(run: Path) -> dict[str, Any]:
    """The ``config.json`` of a training. Raises InputError where there is none, or it holds something else."""
    file = run / "config.json"
    saved = read_object(file, _OTHERWISE)
    config = saved.get("config")
    if not (
        isinstance(saved.get("data"), str) and isinstance(config, dict) and {"call", "with"} <= config.keys()
    ):
        raise InputError(f"{file} is not of a training: it has no data, or no config; {_OTHERWISE}")
    return saved
