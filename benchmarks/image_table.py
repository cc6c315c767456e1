"""Generators of several images of one condition, and their rivals: tables 5.2 and 5.3 of the thesis, at quarter widths.

    tessella train helen_embedding --data HELEN --out RUNS/perceptual               # compares images in training
    tessella train helen_embedding --data HELEN --out RUNS/embedding --seed 1       # judges what is sampled
    tessella train helen_landmarks --data HELEN --out RUNS/condition
    python benchmarks/image_table.py helen RUNS --data HELEN --seeds 0 1 2
    python benchmarks/image_table.py helen                                          # the table of what is there

and likewise ``helen64``, faces of 64 pixels for two CPU cores (judges with --dataset.size 64), and ``objects`` with
objects_normals and objects_embedding on tessella scenes render objects, where the true distribution of images is known:
12 modes, and ``heads``, pets with estimated normals (``pet_heads.py``). Every row is trained for as many updates on as
many conditions. Each result is a file under ``results/images/``; what is there is not repeated, and a row that was
stopped goes on from its last quarter.
"""

import argparse
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from completing import complete, file_name  # beside this file
from image_results import RESULTS, Result, judged, read, values

from tessella.datasets import HelenFaces
from tessella.datasets.loading import planes
from tessella.datasets.pairs import PairedDataset
from tessella.files import write_json
from tessella.image_generation import ImageBicycleGAN, LateSplit, Pix2Pix, Separate, Shared
from tessella.image_generation.nearest_pixels import closest_examples, nearest_pixels
from tessella.recipes.images import OF_64, QUARTER, helen_images, objects_images
from tessella.runs.environment import environment
from tessella.runs.image_sampling import sample_images
from tessella.runs.image_scores import ImageScores
from tessella.runs.image_training import train_images
from tessella.runs.images import (
    ImageRegression,
    Images,
    ImageTranslation,
    load_images,
    load_judge,
    perceptual_features,
)
from tessella.scenes.objects import mode_of, mode_tolerance
from tessella.training.machine import Machine

CODES = 72
BRANCHES = {"helen": 20, "helen64": 12, "objects": 12, "heads": 12}
NEIGHBOURS = 6
RECIPES: dict[str, ImageRegression] = {
    "helen": helen_images(),
    "helen64": replace(helen_images(), dataset=partial(HelenFaces, size=64)),
    "objects": objects_images(),
    "heads": objects_images(),
}
Row = Callable[[str, ImageRegression], Images]


def by(generator: Any, neighbours: bool = False, branches: int = 0, **options: Any) -> Row:
    """The recipe with another generator."""

    def row(task: str, config: ImageRegression) -> Images:
        widths = QUARTER if task == "helen" else OF_64
        made = partial(generator, branches=branches or BRANCHES[task], widths=widths, **options)
        return replace(config, generator=made, neighbours=NEIGHBOURS if neighbours else 0)

    return row


def elements(task: str, config: ImageRegression) -> Images:
    side = 64 if task == "helen" else 32
    return by(Shared, neighbours=True, element_size=(side, side))(task, config)


def rival(gan: Any) -> Row:
    def row(task: str, config: ImageRegression) -> Images:
        shared = {
            name: getattr(config, name) for name in ("dataset", "steps", "batch_size", "seed", "workers")
        }
        return ImageTranslation(**shared, gan=partial(gan, width=16), validate_every=config.validate_every)

    return row


ROWS: dict[str, Row] = {
    "regression": by(LateSplit, branches=1),
    "CRN": by(LateSplit),
    "CRN, neighbours": by(LateSplit, neighbours=True),
    "CRN-72": by(LateSplit, branches=CODES),
    "Separate": by(Separate),
    "Separate, neighbours": by(Separate, neighbours=True),
    "Shared": by(Shared),
    "Shared, neighbours": by(Shared, neighbours=True),
    "element-wise, neighbours": elements,
    "pix2pix": rival(Pix2Pix),
    "BicycleGAN": rival(ImageBicycleGAN),
    "PixelNN": by(LateSplit, branches=1),
}


def measure(options: argparse.Namespace, row: str, seed: int) -> None:
    file = RESULTS / options.task / f"{file_name(row, seed)}.json"
    if file.exists():
        return
    torch.set_num_threads(options.threads)
    recipe = RECIPES[options.task]
    config = ROWS[row](
        options.task,
        replace(
            recipe,
            perceptual=str(options.runs / "perceptual"),
            steps=options.steps,
            validate_every=max(1, options.steps // 4),
            neighbours_from=options.steps // 2,
            warm_up=min(recipe.warm_up, options.steps // 10),
            batch_size=options.batch_size,
            seed=seed,
            workers=options.workers,
        ),
    )
    device = torch.device("cuda" if options.accelerator == "gpu" else "cpu")
    run = options.runs / "rows" / f"{options.task}_{file.stem}"
    machine = Machine(accelerator=options.accelerator, progress=False)
    outcome, begun = complete(train_images, config, options.task, options.data, run, machine)
    trained = load_images(str(run))
    test_set = config.dataset(options.data, config.val_split)
    test = [test_set[index] for index in range(min(options.conditions, len(test_set)))]
    judges = [load_judge(str(options.runs / name)) for name in ("condition", "embedding")]
    codes = min(CODES, getattr(trained.generator, "branches", CODES))
    if isinstance(trained.generator, Shared):
        codes = CODES
    out = run / "samples"
    if row == "PixelNN":
        train_set = config.dataset(options.data, config.train_split)
        scores: dict[str, Any] = pixel_nn(trained, train_set, test, judges, config, device)
    else:
        save = options.task == "objects"
        scores = sample_images(
            trained, test, out, codes=codes, judges=judges, save=save, at_once=8, device=device
        )
        if save:
            scores["modes"] = modes(options.data, config, test, out / "images")
        sheet = cv2.imread(str(out / "sheet.png"))
        cv2.imwrite(str(options.sheets / f"{file.stem}.jpg"), sheet)
    result = {
        **scores,
        "row": row,
        "task": options.task,
        "seed": seed,
        "steps": outcome.step,
        "batch_size": config.batch_size,
        "training_seconds": None if begun else round(outcome.seconds, 1),
        "parameters": sum(p.numel() for p in trained.generator.parameters()),
        **environment(),
    }
    write_json(file, result)
    shutil.rmtree(run)
    print(
        row, seed, {name: found["best of first"][-1] for name, found in scores["errors"].items()}, flush=True
    )


def pixel_nn(
    trained: Any, train_set: PairedDataset, test: Any, judges: Any, config: Any, device: torch.device
) -> dict[str, Any]:
    """Of each test condition a version of its regression by each of the 72 training images of nearest conditions."""
    known = [train_set[index] for index in range(len(train_set))]
    places, images = np.stack([pair.place for pair in known]), np.stack([pair.image for pair in known])
    features = perceptual_features(config).to(device)
    generator = trained.generator.to(device)
    scores = ImageScores([judge.to(device) for judge in judges])
    for pair in test:
        condition = planes(pair.condition)[None].to(device)
        with torch.no_grad():
            regressed = generator(condition, generator.training_codes)[0, 0].float().clamp(0, 1)
        near = images[closest_examples(pair.place, places, CODES)]
        examples = torch.from_numpy(near.transpose(0, 3, 1, 2).copy()).to(device).float() / 255
        scores.update(pair, nearest_pixels(regressed, examples, features) * 255)
    return {"codes": CODES, **scores.compute()}


def modes(data: Path, config: Any, test: Any, folder: Path) -> dict[str, Any]:
    """Modes found among the first m samples, m = 1, ..., and the share of samples that are near any mode.

    A looser count is of modes that are nearest to any of these samples, near or not.
    """
    found, nearest, near = [], [], []
    for pair in test:
        name = Path(pair.id).name
        references = _pictures(data / config.val_split / "modes" / name)
        objects = np.abs(pair.condition).sum(2) > 0.5
        index, distance = mode_of(_pictures(folder / pair.id), references, objects)
        good = distance < mode_tolerance(references, objects)
        near.append(good.mean())
        steps = range(1, len(index) + 1)
        found.append([len(set(index[:m][good[:m]].tolist())) for m in steps])
        nearest.append([len(set(index[:m].tolist())) for m in steps])
    return {
        "found": [round(float(value), 3) for value in np.mean(found, 0)],
        "nearest to a sample": [round(float(value), 3) for value in np.mean(nearest, 0)],
        "near": round(float(np.mean(near)), 4),
        "of": len(references),
    }


def _pictures(folder: Path) -> np.ndarray:
    return np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(folder.glob("*.png"))])


def table(task: str) -> None:
    """What networks judge is of the seeds that the same judges saw, whose number is said where it is not of all."""
    faces = task.startswith("helen")
    heads = ["", "seeds", "parameters", "RMSE mean / best"]
    heads += ["SSIM best", "FSIM best", "landmarks best"] if faces else ["best of 12", "normals best"]
    heads += ["diversity", *([] if faces else ["colourings that are nearest to a sample, of 12"])]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    results = read(task)
    for row in ROWS:
        if runs := results.get(row):
            best = "best of first"
            cells = [
                f"{len(runs)}",
                f"{runs[0]['parameters'] / 1e6:.2f} M",
                f"{_of(runs, 1, 'errors', 'rmse', 'mean')} / {_of(runs, 1, 'errors', 'rmse', best)}",
            ]
            if faces:
                cells += [_of(runs, 3, "errors", measure, best) for measure in ("ssim", "fsim")]
                cells.append(_judged(runs, 2, "errors", "landmarks", best))
            else:
                cells.append(_of(runs, 1, "errors", "rmse", best, first=12))
                cells.append(_judged(runs, 1, "errors", "normals", best))
            cells.append(_judged(runs, 2, "diversity"))
            if not faces:
                cells.append(_of(runs, 1, "modes", "nearest to a sample"))
            print(f"| {row} | " + " | ".join(cells) + " |")


def _judged(runs: list[Result], digits: int, *names: str) -> str:
    alike = judged(runs)
    if not alike:
        return "-"
    seeds = "" if len(alike) == len(runs) else f" (of {len(alike)})"
    return _of(alike, digits, *names) + seeds


def _of(runs: list[Result], digits: int, *names: str, first: int | None = None) -> str:
    """first: of so many samples, where there are more."""
    found = [value[:first][-1] if isinstance(value, list) else value for value in values(runs, *names)]
    if None in found:
        return "-"
    spread = f" ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 else ""
    return f"{np.mean(found):.{digits}f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=list(RECIPES))
    parser.add_argument("runs", type=Path, nargs="?", help="folder of the judges; none prints the table")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=3000, help="updates")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--conditions", type=int, default=100, help="of the test split that are scored")
    parser.add_argument("--at-once", type=int, default=1, help="rows trained at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each row")
    parser.add_argument("--workers", type=int, default=0, help="that load data, of each row")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--sheets", type=Path, default=Path("sheets"), help="folder for contact sheets")
    options = parser.parse_args()
    if options.runs is None:
        table(options.task)
        return
    options.sheets.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.at_once, mp_context=get_context("spawn")) as pool:
        running = [
            pool.submit(measure, options, row, seed) for seed, row in product(options.seeds, options.rows)
        ]
        for job in running:
            job.result()


if __name__ == "__main__":
    main()
