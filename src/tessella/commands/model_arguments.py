"""The arguments of commands that use a model."""

import argparse

from tessella.commands.serve_arguments import add_remote


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model, and how it is asked: for commands that use one."""
    parser.add_argument(
        "model", help="a run's folder, a checkpoint, an exported file, file.py:callable, or http://host:port"
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of yours that the checkpoint names",
    )
    parser.add_argument(
        "--window", type=size, metavar="HxW", help="slide a window of this size over the image"
    )
    parser.add_argument(
        "--scales", type=numbers, metavar="S,S,...", help="average over these zooms, as 0.75,1,1.25"
    )
    parser.add_argument(
        "--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored image"
    )
    parser.add_argument(
        "--crf", action="store_true", help="refine with a dense CRF (Krähenbühl and Koltun 2011)"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1; auto takes a GPU where there is one"
    )
    add_remote(parser)


def size(text: str) -> tuple[int, int]:
    """240x320; 240 is a square."""
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def counts(text: str) -> tuple[int, ...]:
    """1,2,3."""
    return tuple(int(part) for part in text.split(","))


def numbers(text: str) -> tuple[float, ...]:
    """0.75,1,1.25."""
    return tuple(float(part) for part in text.split(","))
