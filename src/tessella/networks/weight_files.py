"""Tensors of a checkpoint file, or of one on the Hugging Face hub, read without executing anything in it."""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from tessella.errors import InputError

WRAPPINGS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
"""Where training scripts put the weights among optimiser state and epoch counts."""


def read_weights(source: str | Path) -> dict[str, Tensor]:
    """Names and tensors of a checkpoint, on the CPU, without what else training scripts store beside them.

    Raises InputError for what cannot be read, what needs code to be executed, and what holds no tensors.
    """
    path = _download(str(source)[3:]) if str(source).startswith("hf:") else Path(source).expanduser()
    if not path.is_file():
        raise InputError(f"{source}: no such file of weights")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    while inner := next((content[key] for key in WRAPPINGS if isinstance(content.get(key), Mapping)), None):
        content = inner
    weights = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights:
        keys = some([str(key) for key in content]) or "nothing"
        raise InputError(f"{source}: holds no weights, only {keys}; store model.state_dict() with torch.save")
    return weights


def _read_pickle(path: Path) -> Mapping:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if code := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise InputError(
                f"{path}: executes code when read ({code[1]}), which is refused; if you trust its author, "
                "read it once with torch.load(..., weights_only=False) and store its state_dict alone"
            ) from error
        raise InputError(
            f"{path}: unreadable, damaged, or not a file of weights; fetch or save it again"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: unreadable, damaged, or not a file of weights; fetch or save it again"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path}: holds a {type(content).__name__}; store model.state_dict() with torch.save"
        )
    return content


def _read_safetensors(path: Path) -> Mapping:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(f"{path}: reading it needs pip install tessella[huggingface]") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"{path}: unreadable, damaged, or not a file of weights; fetch or save it again"
        ) from error


def _download(name: str) -> Path:
    parts = re.fullmatch(r"([^/@]+/[^/@]+)(?:@([^/]+))?/(.+)", name)
    if parts is None:
        raise InputError(
            f"hf:{name}: write hf:owner/repo/path/of/file, or hf:owner/repo@revision/path/of/file"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise InputError(f"hf:{name}: fetching it needs pip install tessella[huggingface]") from error
    repository, revision, file = parts.groups()
    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"hf:{name}: the hub cannot be reached and the file was not fetched before; connect to the "
            "network, or give the path of a file"
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise InputError(f"hf:{name}: not on the hub, or private; check the name, or log in") from error
    except (OSError, ValueError) as error:
        raise InputError(f"hf:{name}: not fetched ({str(error).splitlines()[0]})") from error


def some(names: Iterable[str], count: int = 4) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
