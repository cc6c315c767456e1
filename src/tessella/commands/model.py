"""What the commands that use a model have in common: the one that the options name."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tessella.errors import InputError
from tessella.inference import Windows
from tessella.runs.model import Model, is_url, load_model


def open_model(options: argparse.Namespace) -> tuple[Model, torch.device]:
    """The model on its device, with the inference that the options ask for."""
    device = choose_device(options.device)
    model = load_model(options.model, ("tessella", *options.trust), **_remote(options))
    plan = replace(
        model.plan,
        windows=Windows(*options.window) if options.window else model.plan.windows,
        scales=options.scales or model.plan.scales,
        flip=model.plan.flip if options.flip is None else options.flip,
    )
    return replace(model, network=model.network.to(device), plan=plan), device


REMOTE = ("input", "output", "gives", "classes", "normalised")
"""Options that say how to ask a server."""


def _remote(options: argparse.Namespace) -> dict[str, Any]:
    """What is said of a model behind a URL, and of an ONNX file how many classes it has. InputError for any other."""
    given = {name: getattr(options, name) for name in REMOTE}
    given = {name: value for name, value in given.items() if value}
    if is_url(options.model):
        return {**given, "key": options.key or os.environ.get("TESSELLA_KEY", "")}
    if Path(options.model).suffix == ".onnx" and not options.key and given.keys() <= {"classes"}:
        return given
    if given or options.key:
        raise InputError(f"--{next(iter(given), 'key')} is for a model behind a URL; {options.model} is none")
    return {}


def choose_device(name: str) -> torch.device:
    """The named device; auto is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from error
