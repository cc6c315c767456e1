"""What ``tessella audit`` takes."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessella.commands.model_arguments import DEFENCES, add_defences, add_model

RECIPE = "a name that tessella recipes lists, or your own as file.py:function"

STEPS = "updates of the network of the learned attack; 0 leaves it out"


def add_audits(actions: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    """The three kinds. add: makes the parser of one, from its name, help and an example."""
    one = add(
        actions,
        "run",
        "attack one model; writes audit.html and audit.json",
        "tessella audit run runs/camvid --members ~/camvid:train --nonmembers ~/held_out:test --out audit",
        command="audit",
    )
    add_model(one)
    _add_run_arguments(one)
    game = add(
        actions,
        "game",
        "train many models, each on its own half of the images, and attack each with the help of the others; "
        "further arguments are fields of the recipe, as in tessella train",
        "tessella audit game camvid_game --data ~/camvid --models 8 --out game --processes 2",
        command="game",
    )
    _add_game_arguments(game)
    shadow = add(
        actions,
        "shadow",
        "train a model as an attacker would who may ask another: on those of his images that it is surest of; "
        "further arguments are fields of the recipe, as in tessella train",
        "tessella audit shadow camvid_game runs/camvid --queries ~/camvid:val --out shadow",
        command="shadow",
    )
    shadow.add_argument("recipe", help=RECIPE)
    add_model(shadow)
    _add_shadow_arguments(shadow)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    where = "PATH:SPLIT"
    parser.add_argument("--members", metavar=where, required=True, help="images that it was trained on")
    parser.add_argument(
        "--nonmembers",
        metavar=where,
        required=True,
        help="images of the same kind that it was not trained on",
    )
    parser.add_argument(
        "--owner",
        nargs=2,
        metavar=where,
        help="images that their owner suspects to have been used, and others of his that cannot have been",
    )
    parser.add_argument(
        "--shadow",
        nargs=3,
        action="append",
        default=[],
        metavar=("MODEL", where, where),
        help="another model, images that it was trained on and others that it was not, for attacks that learn or "
        "compare; may be given more than once, and the comparing ones need two",
    )
    parser.add_argument("--attacker-steps", type=int, default=1500, help=STEPS)
    parser.add_argument(
        "--block",
        type=float,
        help="frames of a video are taken together that lie in one block of this length, by the last number in an "
        "image's name; ten frames where not given",
    )
    parser.add_argument(
        "--dataset",
        help="name of the data set of --members, --nonmembers and --owner, where it is not the one that the model was "
        "trained on here; also of a --shadow that was not trained here",
    )
    parser.add_argument(
        "--unlabelled",
        action="store_true",
        help="look at no labels: by what attacks see of images alone; a folder of images will then do for PATH:SPLIT",
    )
    add_defences(
        parser,
        f"{DEFENCES} before the answers of the model and its shadows, and averaged=N last for an attacker who asks "
        "about N nearly equal copies; may be given more than once",
    )
    parser.add_argument(
        "--no-label-only",
        action="store_true",
        help="leave out the attack that asks nine times for each image",
    )
    parser.add_argument(
        "--chosen", default="", help="how members and non-members were chosen, for the report"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the report; goes on with what is there"
    )


def _add_game_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help=RECIPE)
    parser.add_argument(
        "--data", type=Path, required=True, help="the data set's folder; all splits are put together"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the game's folder; goes on with what is there"
    )
    parser.add_argument("--models", type=int, default=8, help="how many are trained")
    parser.add_argument(
        "--block",
        type=float,
        default=300,
        help="length of the blocks of video that coins are flipped for, by the last "
        "number in an image's name",
    )
    parser.add_argument("--buffer", type=float, default=30, help="what is left out before each cut")
    parser.add_argument("--seed", type=int, default=0, help="of the coins")
    parser.add_argument("--label-only", action="store_true", help="ask nine times more for each image")
    add_defences(
        parser,
        "ask every model once more behind it, as in tessella audit run; may be given more than once",
        "NAME[=STRENGTH][+...]",
    )
    parser.add_argument("--attacker-steps", type=int, default=1500, help=STEPS)
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="an installed package of yours that the recipe names, as for its network",
    )
    parser.add_argument("--processes", type=int, default=1, help="models trained at a time")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="train on a Dask cluster, as tcp://host:8786, in place of --processes",
    )


def _add_shadow_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--queries", metavar="PATH:SPLIT", required=True, help="labelled images that the attacker has"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="of these that the shadow is trained on: those that the model is surest of",
    )
    add_defences(parser, f"{DEFENCES} before the model's answers; may be given more than once")
    parser.add_argument(
        "--out", type=Path, required=True, help="the shadow's run; goes on with what is there"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar while it is trained")
