"""Whole data sets on disk: resumable, in parallel, the same bytes whatever the number of workers."""

from collections.abc import Callable, Mapping
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import cv2

from tessella.errors import InputError
from tessella.processes import processes
from tessella.scenes.cityscapes_layout import CityscapesSequence
from tessella.scenes.files import require_same_settings
from tessella.scenes.frame import SPLITS, Kind, check_request, sequence, sequence_key
from tessella.scenes.nyudv2_layout import NYUDv2Sequence

VERSION = 2
"""Number of the frozen scenes: it changes whenever the same seed gives other pictures."""

_LAYOUTS: dict[str, Any] = {"street": CityscapesSequence, "room": NYUDv2Sequence}


def render(
    kind: Kind,
    out: Path,
    *,
    sequences: int | Mapping[str, int],
    frames: int = 1,
    height: int = 240,
    width: int = 320,
    seed: int = 0,
    interval: float | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Render sequences into ``out`` in the layout of Cityscapes (streets) or NYUDv2 (rooms).

    sequences: how many in every split, or a number per split (``train``, ``val``, ``test``; rooms have no
    ``val``). frames: length of each; one of them is labelled. workers: processes. progress: called with the
    frames that exist and the frames wanted. interval: as ``sequence`` takes it.

    Frames that are complete on disk are not rendered again, so an interrupted call resumes. More sequences
    may be added later; other settings need another folder.

    Raises InputError for impossible settings and for a folder rendered with others.
    """
    check_request(kind, frames, height, width, interval)
    counts = _counts(kind, sequences)
    if workers < 1:
        raise InputError(f"workers is {workers}: ask for at least 1")
    out = Path(out)
    settings: dict[str, Any] = {
        "version": VERSION,
        "kind": kind,
        "frames": frames,
        "height": height,
        "width": width,
        "seed": seed,
    }
    if interval is not None:
        settings["interval"] = interval
    require_same_settings(out, settings)
    jobs = [(split, number) for split, count in counts.items() for number in range(count)]
    total, done = len(jobs) * frames, 0
    report = progress or (lambda done, total: None)
    report(done, total)
    arguments = [(out, split, number, settings) for split, number in jobs]
    if workers == 1:
        for argument in arguments:
            _render_sequence(*argument)
            done += frames
            report(done, total)
    else:
        with processes(workers, cv2.setNumThreads, 1) as pool:
            for future in as_completed([pool.submit(_render_sequence, *argument) for argument in arguments]):
                future.result()
                done += frames
                report(done, total)
    _LAYOUTS[kind].finish(out, counts, frames, seed, interval)


def _counts(kind: str, sequences: int | Mapping[str, int]) -> dict[str, int]:
    splits = SPLITS[kind]
    asked = dict.fromkeys(splits, sequences) if isinstance(sequences, int) else dict(sequences)
    for split, count in asked.items():
        if split not in splits:
            raise InputError(f"sequences names the split {split!r}: a {kind} has {', '.join(splits)}")
        if count < 0:
            raise InputError(f"sequences[{split!r}] is {count}: give 0 or more")
    if not sum(asked.values()):
        raise InputError("sequences is 0 for every split: ask for at least 1")
    return {split: asked.get(split, 0) for split in splits}


def _render_sequence(out: Path, split: str, number: int, settings: dict) -> None:
    """Render what is missing of one sequence."""
    kind, frames = settings["kind"], settings["frames"]
    key = sequence_key(kind, split, number, settings["seed"])
    interval = settings.get("interval")
    layout = _LAYOUTS[kind](out, split, number, frames, settings["seed"], interval)
    missing = [
        frame for frame in range(frames) if not all(path.exists() for path in layout.paths(frame).values())
    ]
    rendered = sequence(kind, key, frames, settings["height"], settings["width"], missing, interval)
    for frame, content in zip(missing, rendered, strict=True):
        layout.write(frame, content)
