"""tessella data: look a data set over, or prepare its videos."""

import argparse

from rich.progress import Progress

from tessella import datasets
from tessella.datasets.check import check
from tessella.datasets.file_dataset import FileDataset
from tessella.errors import InputError

DATASETS: dict[str, type[FileDataset]] = {
    reader.__name__.lower(): reader
    for reader in (
        datasets.ADE20K,
        datasets.BDD100K,
        datasets.CamVid,
        datasets.Cityscapes,
        datasets.CityscapesVideo,
        datasets.MapillaryVistas,
        datasets.NYUDv2,
        datasets.NYUDv2Frames,
        datasets.SUN3D,
        datasets.SplitFolders,
        datasets.Synscapes,
    )
}


def run(options: argparse.Namespace) -> None:
    reader = find_dataset(options.dataset)
    if options.action == "prepare":
        from tessella.commands import prepare  # takes a second to import

        prepare.run(options, reader)
    else:
        _check(options, reader)


def _check(options: argparse.Namespace, reader: type[FileDataset]) -> None:
    with Progress(transient=True) as progress:
        tasks = {split: progress.add_task(split, total=None) for split in reader.splits}
        report = check(
            reader,
            options.path,
            workers=options.workers,
            progress=lambda split, done, total: progress.update(tasks[split], completed=done, total=total),
        )
    print(report)
    if not report.ok:
        raise InputError(f"{options.path} is not in order: see the lines above")


def find_dataset(name: str) -> type[FileDataset]:
    """The reader of the data set that the user names, in any case.

    Raises:
        InputError: there is none; the message lists them.
    """
    if name.lower() not in DATASETS:
        names = ", ".join(sorted(reader.__name__ for reader in DATASETS.values()))
        raise InputError(f"there is no data set {name}: choose from {names}")
    return DATASETS[name.lower()]
