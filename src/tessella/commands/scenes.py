"""tessella scenes: rendered streets and rooms in official layouts."""

import argparse

from tessella.errors import InputError
from tessella.scenes import render


def run(options: argparse.Namespace) -> None:
    render(
        options.kind,
        options.out,
        sequences=_sequences(options.sequences),
        frames=options.frames,
        height=options.height,
        width=options.width,
        seed=options.seed,
        workers=options.workers,
        progress=True,
    )
    print(f"Rendered to {options.out}")


def _sequences(text: str) -> dict[str, int]:
    """``train=40,val=10`` as a dictionary."""
    counts = {}
    for part in text.split(","):
        split, equals, count = part.partition("=")
        if not equals or not count.isdigit():
            raise InputError(f"--sequences {text}: give split=number pairs, as train=40,val=10")
        counts[split.strip()] = int(count)
    return counts
