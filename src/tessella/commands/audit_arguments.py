"""What ``tessella audit`` takes."""

import argparse
from pathlib import Path


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Of ``tessella audit run``, but for those that say which model."""
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
    parser.add_argument("--dataset", help="name of the data set, for a model that was not trained here")
    parser.add_argument(
        "--defence",
        action="append",
        default=[],
        metavar="NAME[=STRENGTH]",
        help="argmax, dropout, gaussian, rounded, temperature or topk before the answers; may be given more than once",
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


def add_game_arguments(parser: argparse.ArgumentParser) -> None:
    """Of ``tessella audit game``."""
    parser.add_argument("recipe", help="a name that tessella recipes lists, or your own as file.py:function")
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
    parser.add_argument(
        "--defence",
        action="append",
        default=[],
        metavar="NAME[=STRENGTH][+...]",
        help="ask every model once more behind it, as in tessella audit run; may be given more than once",
    )
    parser.add_argument(
        "--attacker-steps",
        type=int,
        default=1500,
        help="updates of the network of the learned attack; 0 leaves it out",
    )
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
