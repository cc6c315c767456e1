"""Pooling over regions and views on rendered rooms, one frame of ten labelled: tables 3.2 to 3.4 and figure 3.5.

    tessella scenes render room --out ROOMS --sequences train=30,test=50 --frames 10 --interval 0.5 --workers 2
    for kind in "" "--out ROOMS/levels --regions 50,200,800" "--out ROOMS/pixels --match pixels"; do
        tessella data prepare NYUDv2Frames ROOMS/frames --window 9 $kind; done
    python benchmarks/pooling_table.py --data ROOMS --seeds 0 1 2 3 4 [--rows full superpixel ...]
    python benchmarks/pooling_table.py            # the tables of what is there

For each seed a network is trained image by image (recipe ``rooms_views``); from there each training goes on for the
same steps from the same weights (recipe ``rooms_pooling``): on single images, on their superpixels, on ten views.
Rows name a training and how it is tested. Each row and seed is a file under ``results/pooling/``, and what is
there is not repeated. Differences are paired by seed; their interval is Student's, of 95%.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from completing import complete, file_name  # beside this file
from dilation_table import difference, spread  # the other table, beside this file
from torch import Tensor

from tessella.datasets.loading import Batch
from tessella.files import write_json
from tessella.inference import DenseCRF
from tessella.pooling import SpatioTemporalPooling
from tessella.recipes.pooling import rooms_pooling, rooms_views
from tessella.runs.configuration import override
from tessella.runs.environment import environment
from tessella.runs.evaluation import evaluate
from tessella.runs.model import Model, load_model
from tessella.runs.segmentation import Segmentation, open_test_split
from tessella.runs.training import train

RESULTS = Path(__file__).parent / "results" / "pooling"
ALL = 10

Change = Callable[[Segmentation, Path], Segmentation]


def views(config: Segmentation, data: Path, training: int = ALL, **pooling: str) -> Segmentation:
    assert config.views is not None
    pool = partial(SpatioTemporalPooling, **pooling)
    return replace(config, views=replace(config.views, training=training, test=training, pooling=pool))


def single(config: Segmentation, data: Path) -> Segmentation:
    """Single images without regions, as many in a step as the pooled models have labelled ones."""
    return replace(config, views=None)


def prepared(config: Segmentation, data: Path, folder: str) -> Segmentation:
    return override(config, {"dataset.folder": str(data / folder)})


TRAININGS: dict[str, Change] = {
    "single": single,
    "superpixel": partial(views, training=1),
    "views": views,
    "mean max": partial(views, spatial="mean", temporal="max"),
    "max mean": partial(views, spatial="max", temporal="mean"),
    "max max": partial(views, spatial="max", temporal="max"),
    "pixels": partial(prepared, folder="pixels"),
    "levels": partial(prepared, folder="levels"),
}


class Row(NamedTuple):
    """A training, the views at test (0: no regions), the frames they are drawn from where not all, a CRF at last."""

    training: str
    views: int
    window: tuple[int, ...] = ()
    crf: bool = False


ROWS = {
    "network": Row("single", 0),
    "network, DenseCRF": Row("single", 0, crf=True),
    "superpixel": Row("superpixel", 1),
    "superpixel+": Row("views", 1),
    "full": Row("views", ALL),
    "single images in training, views in test": Row("single", ALL),
    "pixel correspondences": Row("pixels", ALL),
    "average, then largest view": Row("mean max", ALL),
    "largest pixel, then average": Row("max mean", ALL),
    "largest pixel, largest view": Row("max max", ALL),
    "three levels": Row("levels", ALL),
    **{
        f"past and future, {reach} frames": Row("views", ALL, (*range(-reach, reach + 1),))
        for reach in (1, 3)
    },
    **{f"past, {reach} frames": Row("views", ALL, (*range(-reach, 1),)) for reach in (1, 3, 6)},
}
PAIRS = [
    ("network, DenseCRF", "network"),
    ("superpixel", "network"),
    ("superpixel+", "superpixel"),
    ("full", "superpixel+"),
    ("full", "network"),
    ("full", "pixel correspondences"),
    ("full", "single images in training, views in test"),
    ("full", "average, then largest view"),
    ("full", "largest pixel, then average"),
    ("full", "largest pixel, largest view"),
    ("three levels", "full"),
]
SCORES = ("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the rendered rooms, prepared")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--runs", type=Path, default=Path("runs/pooling"), help="where trainings are kept")
    options = parser.parse_args()
    if options.data:
        for seed, name in product(options.seeds, options.rows):
            file = RESULTS / f"{file_name(name, seed)}.json"
            if not file.exists():
                write_json(file, measure(name, seed, options.data, options.runs))
    print(table())


def measure(name: str, seed: int, data: Path, runs: Path) -> dict[str, Any]:
    """Train what the row needs, unless that was done, and test it."""
    row = ROWS[name]
    start = fitted(replace(rooms_views(), seed=seed), "rooms_views", data, runs / f"start_{seed}")
    config = replace(rooms_pooling(), seed=seed, weights=str(start / "checkpoints" / "best.ckpt"))
    config = TRAININGS[row.training](config, data)
    run = fitted(config, "rooms_pooling", data, runs / f"{row.training.replace(' ', '_')}_{seed}")
    model = load_model(str(run)).with_views(row.views)
    out = run / "evaluation" / name.replace(" ", "_")
    begin = time.monotonic()
    predict = model.on_batches(torch.device("cpu"))
    evaluate(
        refined(predict) if row.crf else predict,
        open_test_split(tested(model, row), data / "frames", "test"),
        out,
        description={
            "dataset": "rendered rooms",
            "split": "test",
            "network": name,
            "checkpoint": "best.ckpt",
        },
        boundaries=not row.window,
    )
    result = json.loads((out / "result.json").read_text())
    minutes = round((time.monotonic() - begin) / 60, 1)
    print(
        f"{name}, seed {seed}: {100 * result['metrics']['mean_iou']:.2f}, tested in {minutes} minutes",
        flush=True,
    )
    return {
        "row": name,
        "seed": seed,
        "metrics": result["metrics"],
        "boundaries": result.get("boundaries"),
        **environment(),
    }


def refined(predict: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """With the fully connected CRF of DeepLab-v2, and its published parameters."""
    crf = DenseCRF()

    def refine(batch: Batch) -> Tensor:
        images = [image[:3].permute(1, 2, 0).contiguous().numpy() for image in batch["image"]]
        return torch.stack([crf(p, image) for p, image in zip(predict(batch), images, strict=True)])

    return refine


def tested(model: Model, row: Row) -> Segmentation:
    assert model.config is not None
    return override(model.config, {"dataset.dataset.neighbours": row.window}) if row.window else model.config


def fitted(config: Segmentation, recipe: str, data: Path, run: Path) -> Path:
    """The folder of a finished training; an interrupted one is taken up again."""
    checkpoints = run / "checkpoints"
    if not all((checkpoints / name).exists() for name in ("last.ckpt", "best.ckpt")):
        complete(train, config, recipe, data / "frames", run)
    return run


def table() -> str:
    """Mean scores of every row, in percent, and paired differences of mean IoU and of boundaries, in points."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        found.setdefault(result["row"], {})[result["seed"]] = result
    lines = ["| row | seeds | " + " | ".join((*SCORES, "BPR")).replace("_", " ") + " |", "|---" * 7 + "|"]
    for name in (name for name in ROWS if name in found):
        results = list(found[name].values())
        cells = [spread([100 * r["metrics"][score] for r in results]) for score in SCORES]
        bounds = [r["boundaries"]["average_precision"] for r in results if r["boundaries"]]
        cells.append(f"{sum(bounds) / len(bounds):.3f}" if bounds else "-")
        lines.append(f"| {name} | {len(results)} | " + " | ".join(cells) + " |")
    lines += ["", "| difference | seeds | mean IoU | 95% interval | |", "|---|---|---|---|---|"]
    for name, other in PAIRS:
        seeds = sorted(found.get(name, {}).keys() & found.get(other, {}).keys())
        gains = [
            100 * (found[name][s]["metrics"]["mean_iou"] - found[other][s]["metrics"]["mean_iou"])
            for s in seeds
        ]
        lines += difference(f"{name} - {other}", gains)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
