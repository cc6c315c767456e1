"""Training on with synthetic features against its controls and rivals: table 6.1 of the thesis, on CamVid.

    for s in 0 1 2 3 4; do
      tessella train camvid_game --data CAMVID --seed $s --out RUNS/base_$s
      tessella train features --data CAMVID --network RUNS/base_$s --seed $s --out RUNS/gen_$s \\
        --at backbone.layer3.1.relu --side input --steps 1500
    done                                                  # and RUNS/places_$s with --generator.code_stride 4,
                                                          # RUNS/modulated_$s with --generator.modulate true
    tessella predict RUNS/base_$s FRAMES --sure 0.7 --out RUNS/pseudo_$s  # of unlabelled images, for "pseudo layouts"
    python benchmarks/synthesis_table.py RUNS --data CAMVID --seeds 0 1 2 3 4
    python benchmarks/synthesis_table.py RUNS                                  # the table of what is there

Each seed has a network and a generator of its own, and every row goes on from that network with as many updates at the
same rate and the same real images; so rows are compared seed by seed. "real" has seven images in an update. "real, ten"
has three more, as many as the others have synthetic samples, drawn from the same layouts. Each result is a file under
``results/synthesis/``; what is there is not repeated.

Few images and many layouts: FEW has every eighth training image and its labels, OTHERS the rest,

    mkdir -p FEW OTHERS/train OTHERS/trainannot; cp -r CAMVID/* FEW
    for d in train trainannot; do
      for f in $(ls FEW/$d | awk 'NR % 8 != 1'); do mv FEW/$d/$f OTHERS/$d; done
    done

and networks and generators are trained as above, with FEW in place of CAMVID:

    python benchmarks/synthesis_table.py RUNS --data FEW --layouts OTHERS --results benchmarks/results/synthesis_few \\
        --seeds 0 1 2 3 4 --rows real copy-paste features {,"copy-paste, "}"features"{," modulated"}", other layouts" \\
        {real,copy-paste,{,"copy-paste, "}"features modulated, other layouts"}", long" \\
        "features modulated, other layouts"{" alone",", half",", hard",", half, hard"} \\
        "copy-paste, features modulated, other layouts, hard"
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
from scipy import stats

from tessella.datasets import Cityscapes
from tessella.files import write_json
from tessella.recipes.synthetic import camvid_synthetic
from tessella.runs.configuration import to_json
from tessella.runs.environment import environment
from tessella.runs.segmentation import Segmentation
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train

RESULTS = Path(__file__).parent / "results" / "synthesis"
LONG = 1600  # updates, four times the recipe's
Row = Callable[[Segmentation, str], Segmentation]


def with_features(config: Segmentation, generator: str, of: str = "gen", **changes: Any) -> Segmentation:
    return replace(config, synthetic=replace(Synthetic(_beside(generator, of)), **changes))


def real(config: Segmentation, generator: str, **changes: Any) -> Segmentation:
    return replace(config, synthetic=None, **changes)


def other(config: Segmentation, generator: str, masks_share: float = 0.75, **changes: Any) -> Segmentation:
    """With features of other layouts than those of the images."""
    layouts = {"masks": config.dataset, "masks_data": _folder("layouts"), "masks_share": masks_share}
    return with_features(config, generator, **layouts, **changes)


def and_with(row: Row, **changes: Any) -> Row:
    """The row where the training itself is another, too."""
    return lambda config, generator: row(replace(config, **changes), generator)


def _beside(generator: str, name: str) -> str:
    """What is NAME_SEED beside gen_SEED."""
    return str(Path(generator).with_name(Path(generator).name.replace("gen", name)))


def _folder(name: str) -> str:
    if FOLDERS[name] is None:
        raise SystemExit(f"a row needs --{name}: give that folder, or the other rows by --rows")
    return str(FOLDERS[name])


modulated = partial(other, of="modulated")
ROWS: dict[str, Row] = {
    "real": real,
    "real, ten": lambda config, _: replace(config, synthetic=Synthetic(label_smoothing=0.0)),
    "real, frozen encoder": partial(real, frozen_stages=3),
    "real, slow": partial(real, learning_rate=3e-5),
    "real, hard": lambda config, _: replace(config, synthetic=Synthetic(label_smoothing=0.0, hard=10)),
    "features": with_features,
    "features, frozen encoder": and_with(with_features, frozen_stages=3),
    "features, codes of places, frozen encoder": and_with(
        partial(with_features, of="places"), frozen_stages=3
    ),
    "features, slow": and_with(with_features, learning_rate=3e-5),
    "features, hard": partial(with_features, hard=10),
    "features, no smoothing": partial(with_features, label_smoothing=0.0),
    "features, smoothing 0.1": partial(with_features, label_smoothing=0.1),
    "features, half": partial(with_features, ratio=0.5),
    "features, filter": partial(with_features, filter=1.25),
    "features, own norms": partial(with_features, auxiliary_norms=True),
    "features, codes of places": partial(with_features, of="places"),
    "features, codes of places, own norms": partial(with_features, of="places", auxiliary_norms=True),
    "features, val layouts": lambda config, generator: with_features(
        config, generator, masks=config.dataset, masks_data=_folder("data"), masks_split="val"
    ),
    "features, rendered layouts": lambda config, generator: with_features(
        config, generator, masks=partial(Cityscapes, classes=11), masks_data=_folder("streets")
    ),
    "features, other layouts": other,
    "features modulated, other layouts": modulated,
    "features modulated, other layouts alone": partial(modulated, masks_share=1.0),
    "features modulated, other layouts, half": partial(modulated, ratio=0.5),
    "features modulated, other layouts, hard": partial(modulated, hard=10),
    "features modulated, other layouts, half, hard": partial(modulated, ratio=0.5, hard=10),
    "copy-paste, features, other layouts": and_with(other, copy_paste=0.5),
    "copy-paste, features modulated, other layouts": and_with(modulated, copy_paste=0.5),
    "copy-paste, features modulated, other layouts, hard": and_with(
        partial(modulated, hard=10), copy_paste=0.5
    ),
    "real, long": partial(real, steps=LONG),
    "features modulated, other layouts, long": and_with(modulated, steps=LONG),
    "copy-paste, long": partial(real, copy_paste=0.5, steps=LONG),
    "copy-paste, features modulated, other layouts, long": and_with(modulated, copy_paste=0.5, steps=LONG),
    "features, pseudo layouts": lambda config, generator: with_features(
        config,
        generator,
        masks_data=f"{_beside(generator, 'pseudo')}/labels",  # what the seed's own network is sure of
    ),
    "features, pasted layouts": partial(with_features, copy_paste=1.0),
    "ISDA": partial(real, isda=0.1),
    "ISDA, strength 0.02": partial(real, isda=0.02),
    "copy-paste": partial(real, copy_paste=0.5),
    "copy-paste, frozen encoder": partial(real, copy_paste=0.5, frozen_stages=3),
    "copy-paste, features": and_with(with_features, copy_paste=0.5),
    "copy-paste, features, own norms": and_with(partial(with_features, auxiliary_norms=True), copy_paste=0.5),
}
PAIRS = [
    (row, control)
    for control in ("real", "real, ten", "copy-paste")
    for row in ROWS
    if row not in ("real", control)
    and not row.endswith("long")
    and (control != "copy-paste" or row.startswith("copy-paste"))
] + [
    ("features, frozen encoder", "real, frozen encoder"),
    ("features, codes of places, frozen encoder", "real, frozen encoder"),
    ("copy-paste, frozen encoder", "real, frozen encoder"),
    ("features, slow", "real, slow"),
    ("features modulated, other layouts", "features, other layouts"),
    ("features modulated, other layouts, long", "real, long"),
    ("copy-paste, features modulated, other layouts, long", "copy-paste, long"),
    ("copy-paste, long", "copy-paste"),
    *(
        (f"features modulated, other layouts{change}", "features modulated, other layouts")
        for change in (" alone", ", half", ", hard", ", half, hard")
    ),
]
SCORES = ("mean_iou", "class_accuracy", "pixel_accuracy")
FOLDERS: dict[str, Path | None] = {}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="with base_SEED and gen_SEED")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--streets", type=Path, help="of tessella scenes render street, for their layouts")
    parser.add_argument("--layouts", type=Path, help="labelled as --data; only its layouts are used")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--split", default="test", help="val to choose by, test to report")
    options = parser.parse_args()
    if options.data:
        FOLDERS.update(data=options.data, streets=options.streets, layouts=options.layouts)
        for seed, row in product(options.seeds, options.rows):
            file = options.results / f"{file_name(row, seed)}.json"
            if not file.exists():
                write_json(file, measure(row, seed, options.data, options.runs))
    print(table(options.results, options.split))


def measure(row: str, seed: int, data: Path, runs: Path) -> dict[str, Any]:
    """Train and test one row with one seed."""
    start_from = runs / f"base_{seed}" / "checkpoints" / "best.ckpt"
    config = replace(camvid_synthetic(), weights=str(start_from), seed=seed, workers=0)
    config = ROWS[row](config, str(runs / f"gen_{seed}"))
    run = runs / file_name(row, seed)
    outcome, begun = complete(train, config, "camvid_synthetic", data, run)
    minutes = outcome.seconds / 60
    scores = {split: _scores(run, config, data, split) for split in ("val", "test")}
    shutil.rmtree(run / "checkpoints")
    print(f"{row}, seed {seed}: {100 * scores['test']['mean_iou']:.2f} in {minutes:.1f} minutes", flush=True)
    return {
        "row": row,
        "seed": seed,
        **scores,
        "training_minutes": None if begun else round(minutes, 1),
        "config": json.loads(_anywhere(json.dumps(to_json(config)), runs)),
        **environment(),
    }


def _anywhere(text: str, runs: Path) -> str:
    """Without the folders of this machine."""
    for name, folder in {"runs": runs, **FOLDERS}.items():
        text = text.replace(str(folder), name.upper()) if folder else text
    return text


def _scores(run: Path, config: Segmentation, data: Path, split: str) -> dict[str, Any]:
    scores = tested(run, config, data, split, dataset="CamVid", network="PSPNet-18")
    return {**scores.as_row(), "iou_per_class": scores.iou_per_class.tolist()}


def table(folder: Path, split: str) -> str:
    """Means over seeds, and differences of rows with 95% intervals over seeds that both have."""
    results = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    found = {row: {r["seed"]: r[split] for r in results if r["row"] == row} for row in ROWS}
    lines = ["| row | seeds | mean IoU | class accuracy | pixel accuracy |", "|---|---|---|---|---|"]
    for row, by_seed in found.items():
        if by_seed:
            cells = [_spread([100 * each[name] for each in by_seed.values()]) for name in SCORES]
            lines.append(f"| {row} | {len(by_seed)} | {' | '.join(cells)} |")
    lines += [
        "",
        "| difference | seeds | mean IoU | class accuracy | pixel accuracy |",
        "|---|---|---|---|---|",
    ]
    for row, control in PAIRS:
        seeds = sorted(found[row].keys() & found[control].keys())
        if len(seeds) > 1:
            cells = [
                paired([100 * (found[row][s][name] - found[control][s][name]) for s in seeds])
                for name in SCORES
            ]
            lines.append(f"| {row} - {control} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def paired(differences: list[float]) -> str:
    """Mean and the 95% interval of Student's t over seeds."""
    mean, error = np.mean(differences), stats.sem(differences)
    reach = error * stats.t.ppf(0.975, len(differences) - 1)
    return f"{mean:+.2f} ({mean - reach:+.2f} to {mean + reach:+.2f})"


if __name__ == "__main__":
    main()
