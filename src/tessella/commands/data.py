"""tessella data: look a data set over."""

import argparse
from collections.abc import Callable

from tessella.datasets import SegmentationDataset
from tessella.datasets.camvid import CamVid
from tessella.datasets.cityscapes import Cityscapes
from tessella.datasets.split_folders import SplitFolders
from tessella.errors import InputError

DATASETS: dict[str, Callable[..., SegmentationDataset]] = {
    dataset.__name__.lower(): dataset for dataset in (CamVid, Cityscapes, SplitFolders)
}


def find_dataset(name: str) -> Callable[..., SegmentationDataset]:
    """The reader of the data set that the user names, in any case.

    Raises:
        InputError: there is none; the message lists them.
    """
    if name.lower() not in DATASETS:
        raise InputError(f"there is no data set {name}: choose from {', '.join(sorted(DATASETS))}")
    return DATASETS[name.lower()]


def run(options: argparse.Namespace) -> None:
    raise InputError("not yet")
