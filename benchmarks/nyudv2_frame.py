"""Networks that were trained on rendered rooms, on the one labelled frame of a real NYUDv2 video.

    tessella data prepare NYUDv2Frames VIDEO --out PREPARED
    python benchmarks/nyudv2_frame.py --video VIDEO --prepared PREPARED --runs RUNS [--seeds 0 1 2 3 4]

VIDEO holds the frames of one video as the authors of STD2P publish them, RUNS what ``pooling_table.py`` trained. Ten
views of the video, some of its frames up to 50 steps away, are brought together. One frame proves little: what
counts is that real depth and flow go through the same code.
"""

import argparse
from pathlib import Path
from statistics import mean

import torch

from tessella.datasets.loading import collate
from tessella.files import write_json
from tessella.metrics import ConfusionMatrix
from tessella.runs.configuration import override
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_test_split

ROWS = {
    "network": ("single", 0),
    "superpixel": ("superpixel", 1),
    "superpixel+": ("views", 1),
    "full": ("views", 10),
}
SCORES = ("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("video", "prepared", "runs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for name, (training, views) in ROWS.items():
        for seed in options.seeds:
            found.setdefault(name, []).append(
                measure(options.runs / f"{training}_{seed}", views, options.video, options.prepared)
            )
        print(
            name, {score: round(100 * mean(r[score] for r in found[name]), 1) for score in SCORES}, flush=True
        )
    file = Path(__file__).parent / "results" / "nyudv2_frame.json"
    write_json(file, {"seeds": options.seeds, "rows": found, **environment()})


def measure(run: Path, views: int, video: Path, prepared: Path) -> dict[str, float]:
    model = load_model(str(run)).with_views(views)
    assert model.config is not None
    config = override(
        model.config,
        {"dataset.folder": str(prepared), "dataset.dataset.neighbours": tuple(range(-50, 51))},
    )
    test = open_test_split(config, video, "all")
    confusion = ConfusionMatrix(len(test.classes))
    for index in range(len(test)):
        batch = collate([test[index]])
        confusion.update(model.on_batches(torch.device("cpu"))(batch).argmax(1), batch["labels"])
    scores = confusion.compute()
    return {score: float(getattr(scores, score)) for score in SCORES}


if __name__ == "__main__":
    main()
