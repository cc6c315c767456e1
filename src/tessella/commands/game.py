"""tessella audit game: many models of one recipe, each trained on its own half, each attacked with the others' help."""

import argparse
import shlex
import sys

import torch
from rich.progress import MofNCompleteColumn, Progress

from tessella.commands.executor import executor
from tessella.commands.train import changes
from tessella.errors import InputError
from tessella.recipes import find_recipe, segmentation_of
from tessella.reports.game import write_game
from tessella.runs.configuration import override
from tessella.runs.game import Game, play
from tessella.runs.game_attacks import attack_game


def run(options: argparse.Namespace) -> None:
    recipe = find_recipe(options.recipe)
    config = segmentation_of(recipe)
    config = override(config, changes(config, options.changes))
    if options.attacker_steps < 0:
        raise InputError(f"--attacker-steps {options.attacker_steps}: give at least 0")
    game = Game(
        config,
        options.recipe,
        options.data.absolute(),  # since a cluster's workers may stand in another folder
        options.models,
        options.block,
        options.buffer,
        options.seed,
        options.generator,
    )
    out = options.out.absolute()
    # The cores of a cluster's workers are not known here; Dask gives each the threads that it may use.
    # Those that the user allows (OMP_NUM_THREADS): beside other work, more of them wait for each other.
    threads = None if options.scheduler else max(1, torch.get_num_threads() // max(options.processes, 1))
    try:
        with (
            executor(options.processes, options.scheduler, "--processes") as pool,
            Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True) as bar,
        ):
            task = bar.add_task("Training and asking models", total=None)
            play(
                game,
                out,
                pool,
                label_only=options.label_only,
                defences=options.defence,
                threads=threads,
                trusted=("tessella", *options.trust),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        print("tessella: what is finished stays; the same command goes on from there", file=sys.stderr)
        raise
    command = shlex.join(["tessella", *sys.argv[1:]])
    result = attack_game(out, options.attacker_steps, options.defence, command)
    for name, attack in result["checkpoints"]["last"]["attacks"].items():
        print(f"{name:32} AUC {attack['auc']['value']:.3f}")
    print(f"Report: {write_game(out)}")
    print(result["verdict"])
