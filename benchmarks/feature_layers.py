"""Which layer's features are easy to make, and help: tables 6.2 and 6.3 of the thesis, on CamVid.

    python benchmarks/feature_layers.py RUNS --data CAMVID --seeds 0 1      # RUNS/base_SEED and RUNS/real_SEED as of
                                                                            # synthesis_table.py
    python benchmarks/feature_layers.py RUNS                                # the table of what is there

For each layer of the seed's network: entropy and overlap of histograms of its features on training crops, the score of
a generator trained for it (mean IoU of the frozen decoder on sampled features, test layouts), and what training with
its features gains over the same training without: row "real" of synthesis_table.py, which goes on from the same
network. Means over seeds; gains with the 95% interval where there are two seeds or more. The last row of the table is
the rank correlation of each column with the gain. "baseline" has no atrous reduction and sees layouts at the features'
resolution, "modulated" conditions the last layer on the layout as SPADE does; below is what they differ by, by seeds
that both have. Each result is a file under ``results/feature_layers/``;
what is there is not repeated.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from completing import complete, file_name, tested  # beside this file
from scipy.stats import spearmanr
from synthesis_table import paired
from torch import Tensor

from tessella.datasets.loading import training_loader
from tessella.feature_synthesis.analysis import distribution
from tessella.files import write_json
from tessella.recipes.features import features, features_baseline, images_baseline
from tessella.recipes.synthetic import camvid_synthetic
from tessella.runs.environment import environment
from tessella.runs.feature_gan import FeatureGAN, halves_of, load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.model import load_model
from tessella.runs.sampling import find_layouts, sample_features
from tessella.runs.segmentation import open_split, training_transform
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train

RESULTS = Path(__file__).parent / "results" / "feature_layers"
ROWS: dict[str, FeatureGAN] = {
    "image": images_baseline(),
    # Of three blocks of reduction, as those behind it, though two are what its resolution asks for.
    "layer1": replace(features(), at="backbone.layer1.1.relu", side="input"),
    "layer2": replace(features(), at="backbone.layer2.1.relu", side="input"),
    "layer3": replace(features(), at="backbone.layer3.1.relu", side="input"),
    "layer3, baseline": replace(features_baseline(), at="backbone.layer3.1.relu", side="input"),
    "layer3, modulated": replace(
        features(),
        at="backbone.layer3.1.relu",
        side="input",
        generator=partial(features().generator, modulate=True),
    ),
    "layer4": replace(features(), at="backbone.layer4.1.relu", side="input"),
}
PATCHES = 400


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=1500, help="of each generator")
    options = parser.parse_args()
    if options.data:
        for seed, row in product(options.seeds, options.rows):
            file = RESULTS / f"{file_name(row, seed)}.json"
            if not file.exists():
                write_json(file, measure(row, seed, options.data, options.runs, options.steps))
    print(table())


def measure(row: str, seed: int, data: Path, runs: Path, steps: int) -> dict[str, Any]:
    name = file_name(row, seed)
    base, run = runs / f"base_{seed}", runs / f"layer_{name}"
    control = json.loads((runs / f"real_{seed}" / "evaluation" / "test" / "result.json").read_text())
    config = replace(ROWS[row], network=str(base), steps=steps, validate_every=steps, seed=seed, workers=0)
    if not (run / "checkpoints" / "best.ckpt").exists():
        complete(train_generator, config, "features", data, run)
    generator = load_generator(str(run))
    layouts = find_layouts([f"{data}:test"], generator)
    sampled = sample_features(generator, layouts, runs / f"samples_{name}", device=torch.device("cpu"))
    of_layer = distribution(Patches(base, config, data), len(generator.classes))
    more = replace(
        camvid_synthetic(),
        weights=str(base / "checkpoints" / "best.ckpt"),
        synthetic=Synthetic(str(run)),
        seed=seed,
        workers=0,
    )
    trained = runs / f"with_{name}"
    if not (trained / "evaluation").exists():
        complete(train, more, "camvid_synthetic", data, trained)
    scores = tested(trained, more, data, "test", dataset="CamVid", network=row)
    assert sampled.real is not None
    print(
        f"{name}: score {100 * sampled.synthetic.mean_iou:.1f}, then {100 * scores.mean_iou:.2f}", flush=True
    )
    return {
        "row": row,
        "seed": seed,
        "channels": len(generator.generator.mean),
        "entropy": of_layer.entropy(),
        "overlap": of_layer.overlap(),
        "score": sampled.synthetic.as_row(),
        "score_of_images": sampled.real.as_row(),
        "trained_with": scores.as_row(),
        "control": {name: control["metrics"][name] for name in scores.as_row()},
        "steps": steps,
        **environment(),
    }


class Patches:
    """Features and labels of training crops; the same ones each time they are gone through."""

    def __init__(self, base: Path, config: FeatureGAN, data: Path) -> None:
        self.base, self.config, self.data = base, config, data

    @torch.no_grad()
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        model = load_model(str(self.base))
        assert model.config is not None
        halves = halves_of(self.config, model.network.eval())
        dataset = open_split(model.config, self.data, model.config.train_split)
        for batch in islice(
            training_loader(dataset, training_transform(model.config), 8, seed=0), PATCHES // 8
        ):
            yield from zip(halves.encode(batch["image"]), batch["labels"], strict=True)


def table() -> str:
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        found.setdefault(result["row"], []).append(result)
    lines = [
        "| layer | seeds | channels | entropy | overlap | score | its class accuracy | gain in mean IoU "
        "| in class accuracy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    columns: dict[str, list[float]] = {}
    for row in (row for row in ROWS if row in found):
        results = found[row]
        entropy, overlap = (float(np.mean([r[name] for r in results])) for name in ("entropy", "overlap"))
        score, accuracy = (
            100 * float(np.mean([r["score"][name] for r in results]))
            for name in ("mean_iou", "class_accuracy")
        )
        gains = [[_gain(r, name) for r in results] for name in ("mean_iou", "class_accuracy")]
        cells = [_difference(gain) for gain in gains]
        lines.append(
            f"| {row} | {len(results)} | {results[0]['channels']} | {entropy:.2f} | {overlap:.2f} | {score:.1f} "
            f"| {accuracy:.1f} | {' | '.join(cells)} |"
        )
        if ", " not in row:
            values = {
                "entropy": entropy,
                "overlap": overlap,
                "score": score,
                "gain": float(np.mean(gains[0])),
            }
            for name, value in values.items():
                columns.setdefault(name, []).append(value)
    if len(columns.get("gain", [])) > 2:
        ranks = [
            spearmanr(columns[name], columns["gain"]).statistic for name in ("entropy", "overlap", "score")
        ]
        lines.append(
            f"| rank correlation with the gain | | | {' | '.join(f'{r:+.2f}' for r in ranks)} | | | |"
        )
    architectures = [row for row in found if row.startswith("layer3, ")]
    return "\n".join([*lines, *(line for row in architectures for line in _against_layer3(row, found))])


def _against_layer3(row: str, found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Another architecture for the features of the third stage, by the seeds that both have."""
    theirs, ours = ({r["seed"]: r for r in found.get(name, [])} for name in (row, "layer3"))
    seeds = sorted(theirs.keys() & ours.keys())
    lines = ["", f"| {row} - layer3 | seeds | difference |", "|---|---|---|"]
    for name in ("mean_iou", "class_accuracy"):
        score = [100 * (theirs[s]["score"][name] - ours[s]["score"][name]) for s in seeds]
        gain = [_gain(theirs[s], name) - _gain(ours[s], name) for s in seeds]
        lines += [
            f"| {what} | {len(seeds)} | {_difference(values)} |"
            for what, values in ((f"score: {name}", score), (f"gain: {name}", gain))
        ]
    return lines


def _difference(values: list[float]) -> str:
    return paired(values) if len(values) > 1 else ", ".join(f"{value:+.2f}" for value in values)


def _gain(result: dict[str, Any], score: str) -> float:
    """In points, over the training of the same seed without features."""
    return 100 * float(result["trained_with"][score] - result["control"][score])


if __name__ == "__main__":
    main()
