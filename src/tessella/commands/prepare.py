"""tessella data prepare: HHA, regions, flow and correspondences of a video data set."""

import argparse
import sys
from pathlib import Path

from rich.progress import MofNCompleteColumn, Progress

from tessella.commands.executor import executor
from tessella.datasets import NYUDv2
from tessella.datasets.file_dataset import FileDataset
from tessella.datasets.prepared_folder import PreparedFolder
from tessella.reports.region_statistics import count_regions, draw_regions
from tessella.runs.preparation import Settings, prepare


def run(options: argparse.Namespace, reader: type[FileDataset]) -> None:
    # Absolute, since a cluster's workers may stand in another folder.
    root = options.path.absolute()
    out = options.out.absolute() if options.out else root / "prepared"
    # The labelled frames of NYUDv2 lie in raw video at 30 frames a second; its authors' window takes every third.
    usual = 3 if reader is NYUDv2 else 1
    step = usual if options.step is None else options.step
    flow = str(Path(options.flow).absolute()) if ".py:" in options.flow else options.flow
    settings = Settings(options.regions, options.window, step, options.match, flow)
    try:
        with (
            executor(options.workers, options.scheduler) as pool,
            Progress(*Progress.get_default_columns(), MofNCompleteColumn(), transient=True) as bar,
        ):
            task = bar.add_task("Preparing", total=None)
            splits = prepare(
                reader,
                root,
                out,
                pool,
                settings,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        print("tessella: what is finished stays; the same command goes on from there", file=sys.stderr)
        raise
    print(f"Prepared {', '.join(splits)} in {out}")
    if settings.window > 0 and settings.match == "regions":
        statistics = count_regions(PreparedFolder(out))
        draw_regions(statistics).savefig(out / "regions.png", dpi=150, facecolor="white")
        print(
            f"In another frame, the regions of {statistics.covered:.0%} of a picture's pixels are found again; "
            f"by their size: {out / 'regions.png'}"
        )
