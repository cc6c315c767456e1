"""Reading what training saved, without Lightning, which takes seconds to load."""

from pathlib import Path
from typing import Any

import torch

from tessella.errors import InputError


def checkpoint_file(path: Path) -> Path:
    """A run's folder stands for its best checkpoint."""
    return path / "checkpoints" / "best.ckpt" if path.is_dir() else path


def read_checkpoint(path: Path, mapped: bool = False) -> dict[str, Any]:
    """A checkpoint of ours as a dictionary of tensors and plain values; nothing in the file is executed.

    mapped: tensors stay in the file, for who looks at the plain values alone.

    Raises:
        InputError: the file is missing, damaged, or no checkpoint of a Tessella run.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds for damaged files
        raise InputError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}): is it complete?"
        ) from error
    if not isinstance(checkpoint, dict) or "tessella" not in checkpoint:
        raise InputError(
            f"{path} was not written by tessella train; to start from foreign weights use --weights {path}"
        )
    return checkpoint
