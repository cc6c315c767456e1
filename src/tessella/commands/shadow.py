"""tessella audit shadow: trains the model that an attacker who may query has the help of."""

import argparse
from pathlib import Path

from tessella.commands.audit import asking_about, victim_of
from tessella.commands.model import open_model
from tessella.commands.train import changes
from tessella.datasets import class_names
from tessella.errors import InputError
from tessella.recipes import find_recipe, segmentation_of
from tessella.runs.configuration import override
from tessella.runs.label_spaces import require_same_classes
from tessella.runs.shadow_training import train_shadow
from tessella.training.machine import Machine


def run(options: argparse.Namespace) -> None:
    recipe = find_recipe(options.recipe)
    config = segmentation_of(recipe)
    config = override(config, changes(config, options.changes))
    model, device = open_model(options)
    path, colon, split = options.queries.rpartition(":")
    if not colon:
        raise InputError(f"--queries {options.queries}: give a folder and a split, as {options.queries}:val")
    queries = config.dataset(path, split)
    if model.classes:
        of_data, of_model = (class_names(classes) for classes in (queries.classes, model.classes))
        require_same_classes(options.queries, of_data, of_model)
    outcome = train_shadow(
        config,
        options.recipe,
        victim_of(options, model, device, queries.classes),
        Path(path).absolute(),
        split,
        options.out,
        share=options.share,
        machine=Machine(progress=not options.no_progress),
        progress=asking_about,
    )
    if outcome.interrupted:
        print(f"Stopped at step {outcome.step}, all saved; the same command goes on from there")
        raise KeyboardInterrupt
    out = options.out
    print(
        f"Trained {outcome.step} steps. Next: tessella audit run {options.model} --members ... --nonmembers ... "
        f"--shadow {out}/checkpoints/last.ckpt {path}:members {path}:nonmembers"
    )
