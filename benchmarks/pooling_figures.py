"""Figures 3.3, 3.5 and 3.9 of the thesis, and its qualitative panels, from what was prepared, trained and measured.

    python benchmarks/pooling_figures.py distance                        # figure 3.5, from results/pooling/*.json
    python benchmarks/pooling_figures.py superpixels ROOMS/frames        # boundaries of superpixels, measured
    python benchmarks/pooling_figures.py boundaries                      # figure 3.9, from all of these
    python benchmarks/pooling_figures.py regions PREPARED                # figure 3.3, of a prepared folder
    python benchmarks/pooling_figures.py panel OUT SINGLE VIEWS DATA     # image, truth, network, superpixel+, full

SINGLE and VIEWS are runs without and with views (``benchmarks/pooling_table.py`` leaves them), DATA a prepared data set
of their kind. Figures are written to docs/images; panels show the data, and go where you say.
"""

import argparse
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tessella.datasets import NYUDv2Frames
from tessella.datasets.loading import collate
from tessella.datasets.prepared_folder import PreparedFolder
from tessella.files import write_json
from tessella.metrics import BoundaryPrecisionRecall
from tessella.metrics.boundary import label_boundaries
from tessella.pictures import colorize, contact_sheet, legend
from tessella.pooling import fill_depth, region_hierarchy
from tessella.reports.region_statistics import count_regions, draw_regions
from tessella.reports.style import SERIES, figure_and_axes
from tessella.runs.configuration import override
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_test_split

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RESULTS = Path(__file__).parent / "results" / "pooling"
SUPERPIXELS = RESULTS / "superpixels" / "boundaries.json"


def distance() -> None:
    """Mean IoU of the full model by the frames that its views are drawn from, with the deviation over seeds.

    Six frames before the labelled one and three behind it are all that there are: the full model as it was trained.
    """
    scores = {
        row: [100 * result["metrics"]["mean_iou"] for result in results]
        for row, results in measured().items()
    }
    lines = {
        "past": {0: "superpixel+", **{reach: f"past, {reach} frames" for reach in (1, 3, 6)}},
        "past and future": {
            0: "superpixel+",
            **{reach: f"past and future, {reach} frames" for reach in (1, 3)},
            6: "full",
        },
    }
    require({row for rows in lines.values() for row in rows.values()}, scores)
    figure, axes = figure_and_axes(4.2, 2.8)
    for color, shift, (name, rows) in zip(SERIES, (-0.06, 0.06), lines.items(), strict=False):
        places = np.array(list(rows)) + shift
        means = [np.mean(scores[row]) for row in rows.values()]
        apart = [np.std(scores[row], ddof=1) for row in rows.values()]
        axes.errorbar(places, means, apart, marker="o", markersize=4, color=color, elinewidth=0.8, label=name)
    axes.set_xlabel("Frames that views are drawn from, to either side")
    axes.set_ylabel("Mean IoU")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(IMAGES / "pooling_distance.png", dpi=150, facecolor="white")


def superpixels(frames: Path) -> None:
    """Boundaries of the superpixels alone, by how few regions a cut of the hierarchy has that keeps them."""
    test = NYUDv2Frames(frames, "test", depth=True)
    curve = BoundaryPrecisionRecall()
    counts = np.geomspace(2000, 2, len(curve.thresholds)).round().astype(int)
    for index in range(len(test)):
        sample = test[index]
        assert sample.depth is not None
        assert sample.labels is not None
        hierarchy = region_hierarchy(sample.image[..., :3], fill_depth(sample.depth), 2000)
        strength = torch.zeros(sample.labels.shape)
        for count, threshold in zip(counts, curve.thresholds, strict=True):
            strength[label_boundaries(torch.from_numpy(hierarchy.cut(count)), -1)] = threshold
        curve.update(strength[None], torch.from_numpy(sample.labels)[None].long())
    scores = curve.compute()
    found = {
        "regions": counts.tolist(),
        "average_precision": round(scores.average_precision, 6),
        "best_f": round(scores.best_f, 6),
        "precision": scores.precision.numpy().round(6).tolist(),
        "recall": scores.recall.numpy().round(6).tolist(),
        **environment(),
    }
    write_json(SUPERPIXELS, found)
    print(found)


def boundaries() -> None:
    """Precision and recall of boundaries, the means over seeds at each strength, and average precision."""
    found = measured()
    rows = ("network", "superpixel", "superpixel+", "full")
    require(set(rows), found)
    figure, axes = figure_and_axes(4.2, 2.8)
    for row, color, line in zip(rows, SERIES, ("-", "-", "--", "-"), strict=False):
        curves = [result["boundaries"] for result in found[row]]
        recall, precision, area = (  # NaN where a seed draws nothing so strong
            np.array([curve[name] for curve in curves], float).mean(0)
            for name in ("recall", "precision", "average_precision")
        )
        axes.plot(recall, precision, line, color=color, label=f"{row}, {area:.2f}")
    alone = json.loads(SUPERPIXELS.read_text())
    label = f"superpixels alone, {alone['average_precision']:.2f}"
    axes.plot(alone["recall"], alone["precision"], color="0.6", linewidth=1, label=label)
    axes.set_xlabel("Recall of boundaries")
    axes.set_ylabel("Precision")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=8, loc="lower left", title="average precision", title_fontsize=8)
    figure.savefig(IMAGES / "pooling_boundaries.png", dpi=150, facecolor="white")


def measured() -> dict[str, list[dict[str, Any]]]:
    """Results of every row, one for each seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        found.setdefault(result["row"], []).append(result)
    return found


def require(rows: set[str], found: Collection[str]) -> None:
    missing = rows - set(found)
    if missing:
        raise SystemExit(f"{RESULTS} lacks {sorted(missing)}: run benchmarks/pooling_table.py for them first")


def regions(prepared: Path) -> None:
    """How large regions are, and in how many of the other frames those of a size are found."""
    statistics = count_regions(PreparedFolder(prepared))
    draw_regions(statistics).savefig(IMAGES / "region_statistics.png", dpi=150, facecolor="white")
    print(f"{len(statistics.sizes)} regions, {statistics.covered:.3f} of the pixels found in another frame")


def panel(
    out: Path, single: Path, views: Path, data: Path, split: str, pictures: int, prepared: Path | None
) -> None:
    """Some images of a split as they are labelled, and as networks without and with pooling see them."""
    pooled = load_model(str(views))
    models = {
        "network": load_model(str(single)).with_views(0),
        "superpixel+": pooled.with_views(1),
        "full": pooled,
    }
    tests = {}
    for name, model in models.items():
        assert model.config is not None
        config = model.config
        if prepared is not None:
            config = override(
                config, {"dataset.folder": str(prepared), "dataset.dataset.neighbours": tuple(range(-50, 51))}
            )
        tests[name] = open_test_split(config, data, split)
    classes, count = tests["full"].classes, len(tests["full"])
    colors = np.array([label.color for label in classes], np.uint8)
    rows = []
    for index in np.unique(np.linspace(0, count - 1, pictures).round().astype(int)):
        sample = tests["full"][int(index)]
        said = [
            model.on_batches(torch.device("cpu"))(collate([tests[name][int(index)]]))[0].argmax(0).numpy()
            for name, model in models.items()
        ]
        rows.append([sample.image[..., :3], *(colorize(labels, colors) for labels in (sample.labels, *said))])
    sheet = contact_sheet(rows, titles=["image", "truth", *models])
    Image.fromarray(np.concatenate([sheet, legend(classes, sheet.shape[1])])).save(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figures = parser.add_subparsers(dest="figure", required=True)
    figures.add_parser("distance")
    figures.add_parser("boundaries")
    figures.add_parser("superpixels").add_argument("frames", type=Path)
    figures.add_parser("regions").add_argument("prepared", type=Path)
    panels = figures.add_parser("panel")
    for name in ("out", "single", "views", "data"):
        panels.add_argument(name, type=Path)
    panels.add_argument("--split", default="test")
    panels.add_argument("--pictures", type=int, default=6)
    panels.add_argument("--prepared", type=Path, help="of another data set than the runs were trained on")
    options = vars(parser.parse_args())
    draw = {
        "distance": distance,
        "superpixels": superpixels,
        "boundaries": boundaries,
        "regions": regions,
        "panel": panel,
    }
    draw[options.pop("figure")](**options)


if __name__ == "__main__":
    main()
