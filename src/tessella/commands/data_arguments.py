"""The arguments of commands that make data: scenes to render, data sets to look over and prepare."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tessella.commands.model_arguments import counts

FLOW = "optical flow: dis, interpolated (matches spread up to edges), or file.py:function of two images [H, W, 3]"


def add_scenes(add: Callable[..., argparse.ArgumentParser]) -> None:
    """add: makes the parser of a command."""
    scenes = add(
        "scenes",
        "render labelled RGB-D video in an official layout, or objects and their normals",
        "tessella scenes render street --out streets --sequences train=40,val=10",
    )
    scenes.add_argument("action", choices=["render"], help="what to do")
    scenes.add_argument(
        "kind",
        choices=["street", "room", "objects"],
        help="street: Cityscapes' layout; room: NYUDv2's; objects: single pictures in the layout of PairedFolders, "
        "which know of the options only --out, --sequences, --size and --seed",
    )
    scenes.add_argument("--out", type=Path, required=True, help="folder to write to")
    scenes.add_argument(
        "--sequences",
        help="sequences, of objects pictures, for each split (default: train=40,val=10; train=2000,test=100)",
    )
    scenes.add_argument("--size", type=int, default=64, help="height and width of a picture of objects")
    scenes.add_argument("--frames", type=int, default=1, help="frames of each sequence")
    scenes.add_argument("--height", type=int, default=240, help="height of a frame in pixels")
    scenes.add_argument("--width", type=int, default=320, help="width of a frame in pixels")
    scenes.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    scenes.add_argument(
        "--interval",
        type=float,
        help="seconds from frame to frame (default: 1/17 for streets, 0.1 for rooms)",
    )
    scenes.add_argument("--workers", type=int, default=1, help="processes that render")


def add_preparation(add: Callable[..., argparse.ArgumentParser]) -> None:
    """add: makes the parser of a command."""
    data = add(
        "data",
        "look a data set over, or prepare its videos for pooling over frames",
        "tessella data check CamVid ~/camvid; tessella data prepare NYUDv2Frames ~/nyudv2 --regions 50,200",
    )
    data.add_argument(
        "action",
        choices=["check", "prepare"],
        help="check: count files, find what is missing, damaged or out of range; prepare: write HHA, regions, optical "
        "flow, and where each labelled picture's regions are in the frames around it; goes on where it was interrupted",
    )
    data.add_argument(
        "dataset", help="CamVid, Cityscapes, NYUDv2, ...; tessella data check help PATH lists them"
    )
    data.add_argument("path", type=Path, help="the data set's folder")
    data.add_argument("--workers", type=int, default=2, help="processes that work")
    prepare = data.add_argument_group("prepare")
    prepare.add_argument("--out", type=Path, help="folder to write to; PATH/prepared where not given")
    prepare.add_argument(
        "--regions",
        type=counts,
        default="200",
        metavar="N,N,...",
        help="of a labelled picture, on each level",
    )
    prepare.add_argument("--window", type=int, default=50, help="steps to either side of a labelled picture")
    prepare.add_argument(
        "--step",
        type=int,
        help="frames a step; where not given, 3 for the raw video of NYUDv2 and 1 elsewhere",
    )
    prepare.add_argument(
        "--match",
        choices=["regions", "pixels"],
        default="regions",
        help="what is found again in other frames",
    )
    prepare.add_argument("--flow", default="dis", metavar="NAME", help=FLOW)
    prepare.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on a Dask cluster, as tcp://host:8786, in place of --workers",
    )
