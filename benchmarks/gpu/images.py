"""Faces of 128 pixels from landmarks, at quarter widths, on one GPU: benchmarks/image_table.py in one command.

    python benchmarks/gpu/images.py --data HELEN --seeds 0 1 --rows Separate "Separate, neighbours"

Trains the three judges side by side, then eight rows at a time, each for 1000 updates. Further options are those of
``image_table.py``. What is under ``benchmarks/results/images/`` already is not repeated. Judges are kept in ``--runs``.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import image_table

from tessella.recipes.images import helen_embedding, helen_landmarks
from tessella.runs.image_training import train_images
from tessella.runs.images import ImageJudge
from tessella.training.machine import Machine


def judge(config: ImageJudge, data: Path, run: Path) -> None:
    if not (run / "checkpoints" / "best.ckpt").exists():
        train_images(
            config, "judge", data, run, machine=Machine(accelerator="gpu", precision="bf16", progress=False)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="Helen's cropped faces")
    parser.add_argument("--runs", type=Path, default=Path("runs/image_judges"), help="folder of the judges")
    options, more = parser.parse_known_args()
    few = {"steps": 1000, "validate_every": 1000, "workers": 4}
    judges = {
        "perceptual": replace(helen_embedding(), **few),
        "embedding": replace(helen_embedding(), seed=1, **few),
        "condition": replace(helen_landmarks(), **few),
    }
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        running = [
            pool.submit(judge, config, options.data, options.runs / name) for name, config in judges.items()
        ]
        for each in running:
            each.result()
    sys.argv[1:] = ["helen", str(options.runs), "--data", str(options.data), "--accelerator", "gpu"]
    sys.argv += ["--steps", "1000", "--at-once", "8", "--workers", "1", *more]
    image_table.main()


if __name__ == "__main__":
    main()
