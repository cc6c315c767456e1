"""The arguments of commands that use a model: which, how it is asked, and what stands before it."""

import argparse

DEFENCES = "argmax, dropout, gaussian, rounded, synfeat, temperature or topk"


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
        "--device", default="auto", help="cpu, cuda, cuda:1; auto takes a GPU where there is one"
    )
    _add_remote(parser)


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


def _add_remote(parser: argparse.ArgumentParser) -> None:
    """For a model that is a URL."""
    remote = parser.add_argument_group("a model behind a URL")
    remote.add_argument("--key", help="of a server that asks for one; TESSELLA_KEY where not given")
    remote.add_argument("--input", help="tensor that takes pictures; as the server says where not given")
    remote.add_argument("--output", help="tensor that answers")
    remote.add_argument("--gives", choices=["posteriors", "logits", "labels"], help="what that holds")
    remote.add_argument("--classes", type=int, help="how many a server of label maps has, or an ONNX file")
    remote.add_argument(
        "--normalised", action="store_true", help="send pictures normalised as ImageNet's are"
    )


def add_defences(parser: argparse.ArgumentParser, meaning: str, form: str = "NAME[=STRENGTH]") -> None:
    parser.add_argument("--defence", action="append", default=[], metavar=form, help=meaning)
    parser.add_argument(
        "--generator",
        default="",
        metavar="RUN",
        help="of features, for synfeat: a run of tessella train features, or FILE.py:FUNCTION that makes encode, "
        "decode and generate of the network; that file is run. In a game, {model} in it stands for 00, 01, ...",
    )
