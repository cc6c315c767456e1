"""What evaluate and predict have in common: the model that the options name."""

import argparse
from dataclasses import replace

import torch

from tessella.errors import InputError
from tessella.inference import Windows
from tessella.runs.model import Model, load_model


def open_model(options: argparse.Namespace) -> tuple[Model, torch.device]:
    """The model on its device, with the inference that the options ask for."""
    device = choose_device(options.device)
    model = load_model(options.model, ("tessella", *options.trust))
    plan = replace(
        model.plan,
        windows=Windows(*options.window) if options.window else model.plan.windows,
        scales=options.scales or model.plan.scales,
        flip=model.plan.flip if options.flip is None else options.flip,
    )
    return replace(model, network=model.network.to(device), plan=plan), device


def choose_device(name: str) -> torch.device:
    """The named device; auto is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from error
