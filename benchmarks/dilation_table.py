"""Fixed against learned dilation: the same small network, the same steps, paired by seed.

    python benchmarks/dilation_table.py camvid --data CAMVID --seeds 1 2 3 4 5 [--rows fixed learned]
    python benchmarks/dilation_table.py camvid_half --data CAMVID --seeds 10 11 12 13 --rows fixed learned
    python benchmarks/dilation_table.py camvid            # the table of what is there

A row and a seed is one training and one evaluation on the validation and test images; its result is a file of its own
under ``benchmarks/results/dilation/``, and what is there already is not repeated. An interrupted training is taken up
again. Differences are paired by seed; their interval is Student's, of 95%, and "not resolved" where it holds zero.
Network and rate were chosen by the validation images with seed 0 (``results/dilation/exploration.json``): use others.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from completing import complete, file_name, tested  # beside this file
from scipy.stats import t as student

from tessella.files import write_json
from tessella.recipes.dilation import camvid_dilation, streets_dilation
from tessella.runs.configuration import override, to_json
from tessella.runs.environment import environment
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train


def camvid_half() -> Segmentation:
    """A deeper network under one wide field of view, on images of half the size."""
    changes = {
        "network.network.backbone.depth": 18,
        "network.network.rates": (12,),
        "network.ranges": ((2, 1, 4), (4, 1, 8), (12, 1, 20)),
        "crop": (120, 160),
        "scale": (0.3, 0.7),
        "batch_size": 8,
        "inference.scales": (0.5,),
    }
    return override(camvid_dilation(), changes)


RECIPES = {"camvid": camvid_dilation, "camvid_half": camvid_half, "streets": streets_dilation}
Row = Callable[[Segmentation], Segmentation]


def ordinary(config: Segmentation, **changes: Any) -> Segmentation:
    """The same network of ordinary convolutions."""
    return replace(config, network=partial(config.network.keywords["network"], **changes))


def changed(config: Segmentation, **changes: Any) -> Segmentation:
    return override(config, {name.replace("__", "."): value for name, value in changes.items()})


ROWS: dict[str, Row] = {
    "fixed": ordinary,
    "fixed, head at 12": partial(ordinary, rates=(12,)),
    "learned": changed,
    "learned, one for a layer": partial(changed, network__per_channel=False),
    "learned from uniform": partial(changed, network__initial="uniform"),
    "fixed at 1": partial(changed, network__initial=1.0, dilation_learning_rate=0.0),
    "learned from 1": partial(changed, network__initial=1.0),
}
PAIRS = [
    ("learned", "fixed"),
    ("learned", "fixed, head at 12"),
    ("learned, one for a layer", "fixed"),
    ("learned from uniform", "fixed"),
    ("fixed", "fixed at 1"),
    ("learned from 1", "fixed at 1"),
    ("learned from 1", "fixed"),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--runs", type=Path, default=Path("runs/dilation"), help="where trainings are kept")
    options = parser.parse_args()
    results = Path(__file__).parent / "results" / "dilation" / options.recipe
    if options.data:
        for seed, row in product(options.seeds, options.rows):
            file = results / f"{file_name(row, seed)}.json"
            if not file.exists():
                write_json(file, measure(options.recipe, row, seed, options.data, options.runs))
    print(table(results))


def measure(recipe: str, row: str, seed: int, data: Path, runs: Path) -> dict[str, Any]:
    """Train and test one row with one seed."""
    config = ROWS[row](replace(RECIPES[recipe](), seed=seed))
    run = runs / f"{recipe}_{file_name(row, seed)}"
    outcome, begun = complete(train, config, f"{recipe}_dilation", data, run)
    minutes = outcome.seconds / 60
    scores = {
        split: tested(run, config, data, split, dataset=recipe, network=row)
        for split in dict.fromkeys(("val", config.test_split))
    }
    of_test = scores[config.test_split]
    factors = run / "dilation.json"
    layers = json.loads(factors.read_text())["layers"] if factors.exists() else []
    final = {layer["name"]: np.array(layer["factors"][-1]) for layer in layers}
    shutil.rmtree(run / "checkpoints")
    print(f"{recipe}, {row}, seed {seed}: {100 * of_test.mean_iou:.2f} in {minutes:.1f} minutes", flush=True)
    return {
        "row": row,
        "seed": seed,
        "validation_mean_iou": scores["val"].mean_iou,
        "mean_iou": of_test.mean_iou,
        "iou_per_class": of_test.iou_per_class.tolist(),
        "factors": {name: [round(float(x), 3) for x in (f.mean(), f.std())] for name, f in final.items()},
        "training_minutes": None if begun else round(minutes, 1),
        "config": to_json(config),
        **environment(),
    }


def table(results: Path) -> str:
    """Mean and spread of every row, and the paired differences, in points of mean IoU."""
    found: dict[str, dict[int, float]] = {}
    for file in sorted(results.glob("*.json")):
        result = json.loads(file.read_text())
        found.setdefault(result["row"], {})[result["seed"]] = 100 * result["mean_iou"]
    lines = ["| row | seeds | mean IoU |", "|---|---|---|"]
    for row in (row for row in ROWS if row in found):
        lines.append(f"| {row} | {len(found[row])} | {spread(list(found[row].values()))} |")
    lines += ["", "| difference | seeds | points | 95% interval | |", "|---|---|---|---|---|"]
    for row, other in PAIRS:
        seeds = sorted(found.get(row, {}).keys() & found.get(other, {}).keys())
        lines += difference(f"{row} - {other}", [found[row][seed] - found[other][seed] for seed in seeds])
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean and, of several values, standard deviation."""
    mean = f"{np.mean(values):.2f}"
    return f"{mean} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def difference(name: str, gains: list[float]) -> list[str]:
    """A line for differences that are paired by seed, if there are at least two."""
    if len(gains) < 2:
        return []
    mean = float(np.mean(gains))
    reach = student.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains))
    low, high = mean - reach, mean + reach
    verdict = "not resolved" if low <= 0 <= high else "resolved"
    return [f"| {name} | {len(gains)} | {mean:+.2f} | {low:+.2f} to {high:+.2f} | {verdict} |"]


if __name__ == "__main__":
    main()
