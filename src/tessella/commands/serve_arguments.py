"""What ``tessella serve`` and ``tessella keys`` take."""

import argparse
from pathlib import Path

from tessella.commands.model_arguments import DEFENCES, add_defences

STATE = Path("serving")


def add_serving(parser: argparse.ArgumentParser) -> None:
    add_defences(parser, f"{DEFENCES} before its answers")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for everyone")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument(
        "--name", default="", help="of the model, in its URL; that of the run where not given"
    )
    parser.add_argument(
        "--posteriors", action="store_true", help="give class probabilities to who asks for them, too"
    )
    parser.add_argument(
        "--compare",
        action=argparse.BooleanOptionalAction,
        help="show on the page what the defences changed, and so what they hide; where not given, on this machine "
        "alone and without --keys",
    )
    parser.add_argument("--keys", action="store_true", help="ask for a key, as tessella keys makes them")
    parser.add_argument("--open", action="store_true", help="answer others without a key")
    _add_state(parser)
    parser.add_argument(
        "--batch",
        type=_positive,
        help="pictures that the model is asked about at a time; 8 on a GPU and 2 on a CPU where not given",
    )
    parser.add_argument(
        "--concurrency", type=_positive, default=64, help="requests answered at a time; others wait outside"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=60, help="seconds for a request to arrive, and for its answer"
    )
    parser.add_argument("--max-pictures", type=_positive, default=16, help="in a request")
    parser.add_argument(
        "--max-pixels", type=_positive, default=4_000_000, help="of all pictures of a request"
    )
    parser.add_argument("--max-body", type=_positive, default=64, help="of a request, in MB")


def add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key, and show it once")
    add.add_argument("name", help="of who gets it")
    add.add_argument("--budget", type=int, required=True, help="pictures that may be asked about")
    remove = actions.add_parser("remove", help="take a key away")
    remove.add_argument("name")
    for action in (add, remove, actions.add_parser("list", help="show what each key has asked")):
        _add_state(action)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 1 or more")
    return number


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < 1e6:
        raise argparse.ArgumentTypeError(f"{text}: give seconds, more than 0")
    return seconds


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, default=STATE, help="folder for keys, budgets, log and secret")
