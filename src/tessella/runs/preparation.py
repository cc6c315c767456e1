"""Prepares the videos of a data set for pooling over frames: HHA, regions, flow, and regions found again."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import partial
from inspect import signature
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2

from tessella.datasets.file_dataset import FileDataset, MissingDepth, Record
from tessella.datasets.files import MissingSplit
from tessella.datasets.prepared_folder import PreparedFolder
from tessella.errors import InputError
from tessella.files import write_json
from tessella.runs.flows import load_flow
from tessella.runs.preparation_work import describe_frame, follow_pair, match_target

VERSION = 3
"""Changes whenever the same pictures give other files."""

IN_FLIGHT = 1000
"""Pieces of work handed to the executor at once."""


@dataclass(frozen=True)
class Settings:
    """What prepared files depend on.

    regions: how many the target has, on each level. window: steps to either side of the target. step: frames a step.
    match: "regions" follows regions, "pixels" each pixel alone: its id then is row * W + column in the target.
    flow: as ``load_flow`` takes it.
    """

    regions: Sequence[int] = (200,)
    window: int = 50
    step: int = 1
    match: Literal["regions", "pixels"] = "regions"
    flow: str = "dis"

    def __post_init__(self) -> None:
        if not self.regions or min(self.regions) < 1:
            raise InputError(f"regions: {list(self.regions)} given; each level has at least 1")
        if self.window < 0:
            raise InputError(f"window: {self.window} given; 0 is the labelled picture alone")
        if self.step < 1:
            raise InputError(f"step: {self.step} given; at least 1 is needed")
        if self.match not in ("regions", "pixels"):
            raise InputError(f"match: {self.match!r} given; choose regions or pixels")
        load_flow(self.flow)


def prepare(
    reader: type[FileDataset],
    root: Path,
    out: Path,
    executor: Executor,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Prepare all splits of a data set that exist at ``root`` into ``out``; returns their names.

    What exists is not made again, so that an interrupted call resumes. When an error ends the call, work may be left in
    the executor: shut it down with ``cancel_futures=True``. progress: called with the pieces of work done and all of
    them: frames, pairs of frames, targets.

    Raises InputError where the data set is no video, ``out`` was made with other settings, or a file is damaged.
    """
    settings = settings or Settings()
    datasets = _open(reader, root, settings)
    folder = PreparedFolder(out)
    _check_settings(folder.settings, reader, datasets.values(), settings)
    stages = _plan(datasets.values(), folder, settings)
    todo = [[piece.work for piece in stage if not piece.exists()] for stage in stages]
    total = sum(map(len, stages))
    done = total - sum(map(len, todo))
    report = progress or (lambda done, total: None)
    report(done, total)
    for stage in todo:
        for _ in _finish(executor, stage):
            done += 1
            report(done, total)
    return list(datasets)


def _open(reader: type[FileDataset], root: Path, settings: Settings) -> dict[str, FileDataset]:
    """The splits that exist, with depth if all of them have it."""
    names = signature(reader).parameters
    if "neighbours" not in names:
        raise InputError(
            f"{reader.__name__}: has no video; prepare NYUDv2, NYUDv2Frames, SUN3D or Cityscapes"
        )
    reach = settings.window * settings.step
    options: dict[str, Any] = {}
    if reach:
        options["neighbours"] = range(-reach, reach + 1, settings.step)
    if "depth" in names:
        try:
            return _open_splits(reader, root, options | {"depth": True})
        except MissingDepth:
            pass
    return _open_splits(reader, root, options)


def _open_splits(reader: type[FileDataset], root: Path, options: dict[str, Any]) -> dict[str, FileDataset]:
    constructor: Callable[..., FileDataset] = reader
    found: dict[str, FileDataset] = {}
    absent: list[MissingSplit] = []
    for split in reader.splits:
        if split == "all" and found:  # these once more
            continue
        try:
            found[split] = constructor(root, split, **options)
        except MissingSplit as missing:
            absent.append(missing)
    if not found:
        raise absent[0]
    return found


def _check_settings(
    path: Path, reader: type[FileDataset], datasets: Iterable[FileDataset], settings: Settings
) -> None:
    wanted = {"version": VERSION, "dataset": reader.__name__, **asdict(settings)}
    wanted["regions"] = list(settings.regions) if settings.match == "regions" else []
    wanted["depth"] = any(record.depth is not None for dataset in datasets for record in dataset.records)
    if not path.exists():
        write_json(path, wanted)
        return
    try:
        # What was prepared before there was a choice is of the default.
        found = {"flow": "dis"} | dict(json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise InputError(f"{path}: is damaged; remove the folder or choose another one") from None
    for name, value in wanted.items():
        if found.get(name) != value:
            raise InputError(
                f"{path}: its files were made with {name} {found.get(name)}, not {value}; choose another folder"
            )


class _Piece(NamedTuple):
    """Work that makes files."""

    paths: tuple[Path, ...]
    work: Callable[[], None]

    def exists(self) -> bool:
        return all(path.exists() for path in self.paths)


def _plan(
    datasets: Iterable[FileDataset], folder: PreparedFolder, settings: Settings
) -> tuple[list[_Piece], list[_Piece], list[_Piece]]:
    """Frames, pairs of frames, and targets.

    Regions and flow serve the targets: those of targets that are done may be removed, and are not made again.
    """
    levels = settings.regions if settings.match == "regions" else None
    frames: dict[str, _Piece] = {}
    pairs: dict[tuple[Path, Path], _Piece] = {}
    targets: list[_Piece] = []
    for dataset in datasets:
        reader = copy(dataset)
        reader.records, reader.ids = (), ()  # which every process would be sent again
        wanted: set[str] = set()
        for record in dataset.records:
            path = folder.correspondences(record.id)
            is_done = path.exists()
            targets.append(_Piece((path,), partial(match_target, reader, record, folder, levels)))
            video = [*record.neighbours[: record.earlier], record, *record.neighbours[record.earlier :]]
            if not is_done:
                wanted |= {frame.id for frame in video}
            for first, second in pairwise(video):
                flows = folder.flows(first.id, second.id)
                work = partial(follow_pair, reader, _alone(first), _alone(second), flows, settings.flow)
                if is_done:
                    pairs.setdefault(flows, _Piece((), work))
                else:
                    pairs[flows] = _Piece(flows, work)
        # A target may be a neighbour of another too, and have what neighbours lack: depth in Cityscapes.
        known = {frame.id: frame for record in dataset.records for frame in record.neighbours}
        known |= {record.id: record for record in dataset.records}
        for frame in known.values():
            paths = []
            if frame.depth is not None and reader.camera(frame, 1, 1) is not None:
                paths.append(folder.hha(frame.id))
            if frame.id in wanted and levels is not None:
                paths.append(folder.regions(frame.id))
            work = partial(describe_frame, reader, _alone(frame), folder, paths, max(settings.regions))
            frames[frame.id] = _Piece(tuple(paths), work)
    return list(frames.values()), list(pairs.values()), targets


def _alone(record: Record) -> Record:
    return replace(record, neighbours=())


def _finish(executor: Executor, works: Iterable[Callable[[], None]]) -> Iterator[None]:
    """Yields whenever a piece of work is done; raises its error."""
    works = iter(works)
    waiting: set[Future[None]] = set()
    while True:
        room = IN_FLIGHT - len(waiting)
        waiting |= {executor.submit(_in_one_thread, work) for work in islice(works, room)}
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
            yield


def _in_one_thread(work: Callable[[], None]) -> None:
    cv2.setNumThreads(1)  # the work is shared among processes already
    work()
