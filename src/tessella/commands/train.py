"""tessella train: a recipe, with fields changed, on the user's data."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tessella.errors import InputError
from tessella.recipes import Configuration, find_recipe
from tessella.runs.configuration import check_names, fields, override, parse, restored
from tessella.runs.environment import OF_MACHINE, described_machine, described_run
from tessella.runs.feature_gan import FeatureGAN
from tessella.runs.feature_training import train_generator
from tessella.runs.image_training import train_images
from tessella.runs.images import ImageJudge, Images
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.machine import Machine


def run(options: argparse.Namespace) -> None:
    recipe = find_recipe(options.recipe)
    out = options.out or Path("runs") / recipe.name
    config, data = recipe.configuration(), options.data
    trusted = ("tessella", *options.trust)
    if options.resume:
        if not (out / "config.json").exists():
            raise InputError(f"no run to resume: {out / 'config.json'} is missing; check --out")
        saved = described_run(out)  # a resumed run keeps every field that the user does not change again
        config = restored(config, saved["config"], trusted)
        data = data or Path(saved["data"])
    config = override(config, changes(config, options.changes))
    if options.fields:
        _print_fields(config)
        return
    if data is None:
        raise InputError(f"train {options.recipe} needs --data FOLDER, the folder of its data set")
    arguments: dict[str, Any] = {
        "machine": _machine(options, out),
        "resume": options.resume,
        "trusted": trusted,
    }
    if isinstance(config, FeatureGAN):
        outcome = train_generator(config, options.recipe, data, out, **arguments)
    elif isinstance(config, Images):
        outcome = train_images(config, options.recipe, data, out, **arguments)
    else:
        outcome = train(config, options.recipe, data, out, **arguments)
    if isinstance(config, Segmentation) and config.privacy:
        spent = json.loads((out / "privacy.json").read_text())
        print(f"Differential privacy of the training images: {spent['guarantee']}")
    if outcome.interrupted:
        trust = [f"--trust={package}" for package in options.trust]
        again = shlex.join(["tessella", "train", options.recipe, "--out", str(out), "--resume", *trust])
        print(f"Stopped at step {outcome.step} of {config.steps}, all saved. Go on with: {again}")
        raise KeyboardInterrupt
    print(f"Trained {outcome.step} steps in {outcome.seconds / 60:.1f} minutes. Next: {_next(config, out)}")


def _machine(options: argparse.Namespace, run: Path) -> Machine:
    """As asked; a resumed run takes over the rest from where it began."""
    known = described_machine(run) if options.resume else {}
    asked = {name: getattr(options, name) for name in OF_MACHINE if getattr(options, name) is not None}
    return Machine(**known | asked, progress=not options.no_progress)


def _next(config: Configuration, run: Path) -> str:
    if isinstance(config, ImageJudge):
        return f"give it to a generator, --perceptual {run}, or to tessella sample, --judges {run}"
    if isinstance(config, (FeatureGAN, Images)):
        return f"tessella sample {run} CONDITIONS --out DIR"
    return f"tessella evaluate {run}"


def changes(config: Configuration, arguments: list[str]) -> dict[str, Any]:
    """``--name value`` and ``--name=value`` pairs as typed values of the configuration's fields."""
    texts: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise InputError(f"{word}: fields are given as --name value")
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        check_names(config, [name])
        if not equals:
            if not rest:
                raise InputError(f"--{name} needs a value")
            value = rest.pop(0)
        texts[name] = value
    types = {field.name: field.type for field in fields(config)}
    return {name: parse(name, text, types[name]) for name, text in texts.items()}


def _print_fields(config: Configuration) -> None:
    table = Table("field", "value", "meaning", box=None, pad_edge=False)
    for field in fields(config):
        table.add_row(f"--{field.name}", str(field.value), field.help)
    Console().print(table)
