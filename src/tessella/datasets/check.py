"""Looks at every file of a data set and lists all that is wrong with it."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from tessella.datasets.file_dataset import FileDataset, Record
from tessella.datasets.files import MissingSplit
from tessella.datasets.sample import IGNORE_INDEX, LabelClass
from tessella.errors import InputError
from tessella.processes import processes

MAX_LINES = 20
"""Problems of a split that the text shows; ``to_dict`` has them all."""


@dataclass
class SplitReport:
    """What one split holds.

    images, labelled: samples, and those of them with labels. sizes: samples by (height, width).
    orphans: a line for each image without labels and label map without image.
    problems: a line for each damaged file, wrong size and label out of range.
    channels: the images by how many channels they have.
    pixels, images_with_class: [K], how many pixels and images each class has. ignored: other pixels.
    """

    images: int = 0
    labelled: int = 0
    orphans: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    images_with_class: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: int = 0
    channels: dict[int, list[Path]] = field(default_factory=dict)


@dataclass
class CheckReport:
    """All splits of a data set by name; ``absent`` splits have no folder of images. ``str()`` renders it."""

    root: str
    classes: tuple[LabelClass, ...]
    splits: dict[str, SplitReport]
    absent: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(split.problems or split.orphans for split in self.splits.values())

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        return {
            "root": self.root,
            "ok": self.ok,
            "absent": self.absent,
            "classes": [{"name": label.name, "color": list(label.color)} for label in self.classes],
            "splits": {
                name: {
                    "images": split.images,
                    "labelled": split.labelled,
                    "orphans": split.orphans,
                    "problems": split.problems,
                    "sizes": [
                        {"height": height, "width": width, "images": count}
                        for (height, width), count in split.sizes.items()
                    ],
                    "pixels_per_class": split.pixels.tolist(),
                    "images_per_class": split.images_with_class.tolist(),
                    "ignored_pixels": split.ignored,
                }
                for name, split in self.splits.items()
            },
        }

    def __str__(self) -> str:
        return "\n".join(chain([self.root], self._summary(), self._histogram(), self._verdict()))

    def _summary(self) -> Iterator[str]:
        for name, split in self.splits.items():
            sizes = ", ".join(
                f"{count} of {width}x{height}" for (height, width), count in sorted(split.sizes.items())[:5]
            )
            more = f" and {len(split.sizes) - 5} more sizes" if len(split.sizes) > 5 else ""
            count = f"{split.images} images, {split.labelled} labelled"
            yield f"{name}: {count}; {sizes or 'none readable'}{more}"
            for title, lines in (("orphans", split.orphans), ("problems", split.problems)):
                if lines:
                    yield f"  {len(lines)} {title}:"
                    yield from (f"    {line}" for line in lines[:MAX_LINES])
                    if len(lines) > MAX_LINES:
                        yield f"    and {len(lines) - MAX_LINES} more"
        if self.absent:
            yield f"not there: {', '.join(self.absent)}"

    def _histogram(self) -> Iterator[str]:
        """Percent of the counted pixels, and images, of each class in each split."""
        labelled = {name: split for name, split in self.splits.items() if split.labelled}
        if not labelled:
            return
        width = max(len("class"), *(len(label.name) for label in self.classes))
        yield ""
        yield f"{'class':{width}}" + "".join(f"  {name + ' %':>12} {'images':>7}" for name in labelled)
        for index, label in enumerate(self.classes):
            cells = (
                f"  {100 * split.pixels[index] / max(1, split.pixels.sum()):12.3f}"
                f" {split.images_with_class[index]:7}"
                for split in labelled.values()
            )
            yield f"{label.name:{width}}" + "".join(cells)
        cells = (
            f"  {100 * split.ignored / max(1, split.ignored + split.pixels.sum()):12.3f} {'':7}"
            for split in labelled.values()
        )
        yield f"{'ignored':{width}}" + "".join(cells).rstrip() + "  (of all pixels)"

    def _verdict(self) -> Iterator[str]:
        problems = sum(len(split.problems) for split in self.splits.values())
        orphans = sum(len(split.orphans) for split in self.splits.values())
        yield ""
        yield "ok" if self.ok else f"{problems} problems, {orphans} orphans"


def check(
    dataset_class: type[FileDataset],
    root: str | Path,
    *,
    splits: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> CheckReport:
    """Reads every sample of every split of ``dataset_class(root, split, **options)``.

    splits: those of the class by default. A split without a folder of images is noted as absent.
    workers: processes that read, by default one per core; 1 reads in this process.
    progress: called with the split, how many of its samples are done, and how many there are.

    InputError: root does not exist, or none of the splits does; fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}: give at least 1")
    if not Path(root).is_dir():
        raise InputError(f"{root}: no such folder; give the data set's root folder")
    constructor: Callable[..., FileDataset] = dataset_class
    if "skip_orphans" in signature(constructor).parameters:
        options["skip_orphans"] = True
    report = CheckReport(str(root), (), {}, [])
    for split in dataset_class.splits if splits is None else splits:
        try:
            dataset = constructor(root, split, **options)
        except MissingSplit as missing:
            report.absent.append(split)
            absence = missing
        except InputError as error:
            report.splits[split] = SplitReport(problems=[str(error)])
        else:
            report.classes = dataset.classes
            done = partial(progress, split) if progress else None
            report.splits[split] = check_samples(dataset, workers=workers, progress=done)
    if not report.splits:
        raise absence
    _require_same_channels(report.splits.values())
    return report


def _require_same_channels(splits: Collection[SplitReport]) -> None:
    """Adds a problem for each image with other channels than most of all splits have."""
    count: Counter[int] = Counter()
    for split in splits:
        count.update({channels: len(images) for channels, images in split.channels.items()})
    most = max(count, key=count.__getitem__, default=0)
    for split in splits:
        for channels, images in split.channels.items():
            if channels != most:
                split.problems += [
                    f"{image}: has {channels} channels where most images have {most}; store it as they are"
                    for image in images
                ]


def check_samples(
    dataset: FileDataset, *, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> SplitReport:
    """Reads every sample of one data set; see ``check``."""
    count = len(dataset.classes)
    report = SplitReport(
        images=len(dataset),
        labelled=sum(record.labels is not None for record in dataset.records),
        orphans=list(dataset.orphans),
        pixels=np.zeros(count, np.int64),
        images_with_class=np.zeros(count, np.int64),
    )
    for done, finding in enumerate(_read_all(dataset, workers or os.cpu_count() or 1), start=1):
        report.problems += finding.problems
        if finding.size is not None:
            report.sizes[finding.size] = report.sizes.get(finding.size, 0) + 1
            report.channels.setdefault(finding.channels, []).append(dataset.records[done - 1].image)
        if finding.pixels is not None:
            report.pixels += finding.pixels[:count]
            report.images_with_class += finding.pixels[:count] > 0
            report.ignored += int(finding.pixels[IGNORE_INDEX])
        if progress is not None:
            progress(done, len(dataset))
    return report


class Finding(NamedTuple):
    """What reading one sample shows: problems, (height, width), channels of the image, and pixels by label [256]."""

    problems: list[str]
    size: tuple[int, int] | None = None
    channels: int = 0
    pixels: np.ndarray | None = None


def _read_all(dataset: FileDataset, workers: int) -> Iterator[Finding]:
    if workers == 1:
        yield from (_read(dataset, index) for index in range(len(dataset)))
        return
    with processes(workers, _start_worker, dataset) as pool:
        yield from pool.map(_read_in_worker, range(len(dataset)), chunksize=8)


_dataset: FileDataset
"""In a worker process, what it reads: sent once, not with every index."""


def _start_worker(dataset: FileDataset) -> None:
    global _dataset
    _dataset = dataset
    cv2.setNumThreads(1)


def _read_in_worker(index: int) -> Finding:
    return _read(_dataset, index)


def _read(dataset: FileDataset, index: int) -> Finding:
    record = dataset.records[index]
    try:
        sample = dataset[index]
        for _ in sample.neighbours:
            pass  # read, so that a broken one shows
    except Exception as error:
        # The first broken file hides others of the same sample: read each part by itself as well.
        problems = [_describe(error, record)]
        for read_part in (
            dataset.read_image,
            dataset.read_labels,
            dataset.read_depth,
            lambda record: list(dataset.read_neighbours(record)),
        ):
            try:
                read_part(record)
            except Exception as error:
                problems.append(_describe(error, record))
        return Finding(list(dict.fromkeys(problems)))
    height, width, channels = sample.image.shape
    if sample.labels is None:
        return Finding([], (height, width), channels)
    return Finding([], (height, width), channels, np.bincount(sample.labels.ravel(), minlength=256))


def _describe(error: Exception, record: Record) -> str:
    """The line of an InputError; what no reader foresaw gets the image's name."""
    return str(error) if isinstance(error, InputError) else f"{record.image}: {type(error).__name__}: {error}"
