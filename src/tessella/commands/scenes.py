"""tessella scenes: rendered streets and rooms in official layouts; objects and their normals."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.progress import Progress

from tessella.errors import InputError
from tessella.scenes import Kind, render, render_objects
from tessella.scenes.objects import PICTURES


def run(options: argparse.Namespace) -> None:
    if options.kind == "objects":
        _render_objects(options)
    else:
        render_with_progress(
            options.kind,
            options.out,
            sequences=_sequences(options.sequences or "train=40,val=10"),
            frames=options.frames,
            height=options.height,
            width=options.width,
            seed=options.seed,
            interval=options.interval,
            workers=options.workers,
        )
    print(f"Rendered to {options.out}")


def _render_objects(options: argparse.Namespace) -> None:
    pictures = PICTURES if options.sequences is None else _sequences(options.sequences)
    with Progress() as progress:
        task = progress.add_task("Rendering objects", total=None)
        render_objects(
            options.out,
            pictures,
            options.size,
            options.seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def render_with_progress(
    kind: Kind,
    out: Path,
    *,
    sequences: Mapping[str, int],
    frames: int,
    height: int,
    width: int,
    seed: int,
    workers: int,
    interval: float | None = None,
) -> None:
    """``tessella.scenes.render`` with a progress bar."""
    with Progress() as progress:
        task = progress.add_task(f"Rendering {kind}s", total=None)
        render(
            kind,
            out,
            sequences=sequences,
            frames=frames,
            height=height,
            width=width,
            seed=seed,
            interval=interval,
            workers=workers,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _sequences(text: str) -> dict[str, int]:
    """``train=40,val=10`` as a dictionary."""
    counts = {}
    for part in text.split(","):
        split, equals, count = part.partition("=")
        if not equals or not count.isdigit():
            raise InputError(f"--sequences {text}: give split=number pairs, as train=40,val=10")
        counts[split.strip()] = int(count)
    return counts
