"""The ``tessella`` command. Each sub-command imports what it needs only when it runs."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tessella import __version__
from tessella.commands.audit_arguments import add_audits
from tessella.commands.data_arguments import FLOW, add_preparation, add_scenes
from tessella.commands.model_arguments import add_model, counts
from tessella.commands.serve_arguments import add_keys, add_serving
from tessella.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 2 for bad input, 130 when the user interrupted."""
    # Our message names the file and says what to do; FFmpeg's own lines would stand beside it.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if "command" not in options:
        parser.print_help()
        return 0
    if options.command in ("train", "game", "shadow"):
        options.changes = rest  # the recipe decides which fields there are
    elif rest:
        parser.error(f"unknown argument {rest[0]}; tessella {options.command} --help lists what there is")
    try:
        importlib.import_module(f"tessella.commands.{options.command}").run(options)
    except InputError as error:
        print(f"tessella: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tessella: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `tessella recipes | head` does
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that may not be written or is a file
        print(f"tessella: {error.filename or options.command}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tessella",
        description="Semantic image segmentation: train, evaluate and use networks on public data or your own.",
        epilog="Start with: tessella demo",
    )
    parser.add_argument("--version", action="version", version=f"tessella {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")

    add = partial(_add, commands)

    demo = add("demo", "render streets, train a small PSPNet, evaluate it and write a report")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything the demo makes")

    add("recipes", "list what can be trained and reproduced")

    add_scenes(add)
    add_preparation(add)

    train = add(
        "train",
        "train a recipe; each of its fields is an option, tessella train RECIPE --fields lists them",
        "tessella train camvid --data ~/camvid --steps 2000 --network.backbone.depth 34",
    )
    train.add_argument("recipe", help="a name that tessella recipes lists, or your own as file.py:function")
    train.add_argument("--data", type=Path, help="the data set's folder")
    train.add_argument("--out", type=Path, help="the run's folder; runs/RECIPE where not given")
    train.add_argument(
        "--resume", action="store_true", help="go on with the run in --out, with its own settings"
    )
    train.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of yours that the run of a network or generator may name classes of",
    )
    train.add_argument("--fields", action="store_true", help="list the recipe's fields and end")
    machine = train.add_argument_group("machine", "with --resume, what is not given is as the run began")
    machine.add_argument(
        "--devices", type=int, help="GPUs, or processes on a CPU, on each node; 1 where not given"
    )
    machine.add_argument("--nodes", type=int, help="machines; 1 where not given")
    machine.add_argument(
        "--accelerator", choices=["auto", "cpu", "gpu"], help="where to train; auto where not given"
    )
    machine.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        help="auto, where not given, is what is fastest",
    )
    train.add_argument("--no-progress", action="store_true", help="no progress bar")

    evaluate = add(
        "evaluate",
        "measure a model on labelled images; prints and saves the table",
        "tessella evaluate runs/camvid --data ~/camvid --split test",
    )
    add_model(evaluate)
    evaluate.add_argument("--data", type=Path, help="the data set's folder; the run's own where not given")
    evaluate.add_argument("--dataset", help="name of the data set, for a model that was not trained here")
    evaluate.add_argument("--split", help="the split to measure on; the recipe's test split where not given")
    evaluate.add_argument(
        "--boundaries", action="store_true", help="also measure precision and recall of boundaries (slow)"
    )
    evaluate.add_argument(
        "--views",
        type=int,
        help="views of a prepared video to bring together; 1: regions of the image alone, 0: no regions; as trained "
        "where not given",
    )
    evaluate.add_argument(
        "--out",
        type=Path,
        help="folder for the results; evaluation/ in the run's folder where not given, which is for its best "
        "checkpoint on its own data set, asked as configured",
    )

    audit = add("audit", "find out whether a model gives away which images it was trained on")
    add_audits(audit.add_subparsers(metavar="ACTION", required=True), _add)

    predict = add(
        "predict",
        "segment images, folders of images and videos",
        "tessella predict runs/camvid photos/ drive.mp4 --out predictions",
    )
    add_model(predict)
    predict.add_argument("inputs", nargs="+", type=Path, help="images, folders of images, videos")
    predict.add_argument("--out", type=Path, required=True, help="folder for label PNGs and overlays")
    predict.add_argument(
        "--crf", action="store_true", help="refine with a dense CRF (Krähenbühl and Koltun 2011)"
    )
    predict.add_argument(
        "--posteriors", action="store_true", help="also write the class probabilities (npz, float16)"
    )
    predict.add_argument(
        "--sure",
        type=float,
        metavar="P",
        help="write labels to train on: where no class has a posterior above P, the nearest pixel's that has one",
    )
    predict.add_argument(
        "--video",
        action="store_true",
        help="inputs are videos and folders of frames: steady each frame by superpixels and the frames around it",
    )
    predict.add_argument("--views", type=int, default=10, help="with --video: frames to either side")
    predict.add_argument(
        "--regions",
        type=counts,
        default=(200, 600),
        metavar="N,N,...",
        help="with --video: superpixels of a frame, at each level of a hierarchy",
    )
    predict.add_argument("--flow", default="dis", metavar="NAME", help=f"with --video: {FLOW}")

    sample = add(
        "sample",
        "make images of conditions, or features of label maps, with a trained generator",
        "tessella sample runs/helen_images HELEN:test --codes 20 --out samples",
    )
    sample.add_argument("checkpoint", help="a run of a generator of images or features, or its checkpoint")
    sample.add_argument(
        "conditions",
        nargs="+",
        help="files of conditions (normals or label maps as PNG, landmarks as .pts), folders of them, and splits of "
        "the generator's data set as PATH:SPLIT",
    )
    sample.add_argument(
        "--out", type=Path, required=True, help="folder for images or label maps, a sheet, scores.json"
    )
    sample.add_argument("--codes", type=int, default=1, help="images, or features, of each condition")
    sample.add_argument("--seed", type=int, default=0, help="of the codes")
    sample.add_argument("--features", action="store_true", help="also write the features (npz, float16)")
    sample.add_argument(
        "--interpolate", action="store_true", help="images: also a strip from the first code to the second"
    )
    sample.add_argument(
        "--judges",
        nargs="+",
        default=[],
        metavar="RUN",
        help="images: runs of what scores them, one of each kind",
    )
    sample.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of yours that a run may name classes of",
    )
    sample.add_argument("--limit", type=int, default=0, help="images: conditions of each split; 0 for all")
    sample.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1; auto takes a GPU where there is one"
    )

    export = add(
        "export", "write a file that runs without Tessella", "tessella export runs/camvid --out model.onnx"
    )
    export.add_argument("model", help="a run's folder, a checkpoint, or file.py:callable")
    export.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of yours that the checkpoint names",
    )
    export.add_argument("--out", type=Path, required=True, help="a .onnx or .pt2 file")
    export.add_argument("--height", type=int, default=240, help="height of the example image")
    export.add_argument("--width", type=int, default=320, help="width of the example image")
    export.add_argument(
        "--dilation",
        choices=["folded", "rounded"],
        default="folded",
        help="learned dilation factors: exactly, or rounded to ordinary dilated convolutions",
    )
    export.add_argument("--data", type=Path, help="folder of the data set, to measure what rounding costs")
    export.add_argument("--split", help="of that data set; the recipe's test split if not given")

    serve = add(
        "serve",
        "answer predictions over HTTP (Open Inference Protocol 2), behind defences",
        "tessella serve runs/camvid --defence gaussian=0.5",
    )
    add_model(serve)
    add_serving(serve)
    add_keys(add("keys", "say who may ask a server, and how often", "tessella keys add alice --budget 1000"))

    report = add(
        "report", "write a run's HTML report, or compare several runs", "tessella report runs/a runs/b"
    )
    report.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    report.add_argument(
        "--out", type=Path, default=Path("comparison.html"), help="the page that compares several runs"
    )
    return parser


def _add(
    commands: Any, name: str, help_: str, example: str = "", command: str = ""
) -> argparse.ArgumentParser:
    """command: the module that runs it, where that has another name."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_,
        description=help_,
        epilog=f"Example: {example}" if example else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,  # what is left of a recipe's fields is not ours: --scale is no --scales
    )
    sub.set_defaults(command=command or name)
    return sub


if __name__ == "__main__":
    sys.exit(main())
