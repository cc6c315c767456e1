"""Two generators of features beside one another on the same layouts: figure 6.4 of the thesis.

    python benchmarks/generator_figure.py RUNS/baseline RUNS/ours STREETS:val --out figure.png

Each row: the layout, what the frozen decoder of each reads in a feature sampled for it, and which of them is right:
white both, red the first alone, cyan the second alone, black neither, grey where the layout is ignored. Printed are the
shares of pixels. Both get the same number of codes, drawn from the same seed.
"""

import argparse
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from tessella.datasets import class_names
from tessella.errors import InputError
from tessella.pictures import colorize, contact_sheet
from tessella.pictures.difference import comparison
from tessella.runs.evaluation import palette_of
from tessella.runs.feature_gan import TrainedGenerator, load_generator
from tessella.runs.sampling import Layout, find_layouts


def compared(
    baseline: TrainedGenerator, proposed: TrainedGenerator, layouts: Iterable[Layout], seed: int = 0
) -> tuple[list[list[np.ndarray]], dict[str, float]]:
    """Rows of pictures [H, W, 3] uint8, and which share of the labelled pixels who reads rightly."""
    if class_names(baseline.classes) != class_names(proposed.classes):
        raise InputError("the two generators are of other classes; compare two of one data set")
    palette = palette_of(baseline.classes)
    chances = [torch.Generator().manual_seed(seed) for _ in range(2)]
    rows = []
    counts = np.zeros(4)
    for layout in layouts:
        first, second = (
            decoded(generator, layout.labels, chance)
            for generator, chance in zip((baseline, proposed), chances, strict=True)
        )
        known = layout.labels != 255
        right = 2 * (first == layout.labels) + (second == layout.labels)
        counts += np.bincount(right[known], minlength=4)
        rows.append(
            [
                *(colorize(labels, palette) for labels in (layout.labels, first, second)),
                comparison(first, second, layout.labels),
            ]
        )
    shares = counts / max(counts.sum(), 1)
    return rows, dict(zip(("neither", "second alone", "first alone", "both"), shares.tolist(), strict=True))


@torch.no_grad()
def decoded(generator: TrainedGenerator, layout: np.ndarray, chance: torch.Generator) -> np.ndarray:
    """What the network reads in a feature of a layout [H, W]."""
    labels = torch.from_numpy(layout.astype(np.int64))[None]
    features = generator.make(labels, generator.draw(labels, chance))
    answer = generator.halves.decode(features, (layout.shape[0], layout.shape[1]))
    return answer[0].argmax(0).to(torch.uint8).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("baseline", help="run or checkpoint of a generator")
    parser.add_argument("proposed")
    parser.add_argument("layouts", nargs="+", help="as of tessella sample")
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    options = parser.parse_args()
    baseline, proposed = load_generator(options.baseline), load_generator(options.proposed)
    layouts = islice(find_layouts(options.layouts, baseline), options.rows)
    rows, shares = compared(baseline, proposed, layouts, options.seed)
    titles = ["Layout", Path(options.baseline).name, Path(options.proposed).name, "Who is right"]
    if not cv2.imwrite(str(options.out), contact_sheet(rows, titles, height=160)[..., ::-1]):
        raise InputError(f"cannot write {options.out}")
    print(", ".join(f"{name} {share:.1%}" for name, share in shares.items()))


if __name__ == "__main__":
    main()
