"""Steady video on rendered rooms: flicker by exact motion and mean IoU, frame by frame, pooled, smoothed.

    python benchmarks/video.py RUN ROOMS [--rooms 20] > benchmarks/results/video.json

RUN: a model trained on rendered rooms (recipe ``rooms_views`` or ``rooms``). ROOMS: ``tessella scenes render room``.
Seconds are those of the processor a frame, of one thread (OMP_NUM_THREADS=1), on top of the model's.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from time import process_time

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from tessella.datasets.nyudv2_classes import index_of_id40
from tessella.metrics import ConfusionMatrix, Flicker
from tessella.pooling.video import View, steady
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.runs.prediction import Segmenter
from tessella.runs.video_frames import FrameSequence

ROWS = {
    "superpixels alone": {"reach": 0, "smoothing": 0},
    "10 frames to either side": {"reach": 10, "smoothing": 0},
    "smoothed over 2 frames": {"reach": 10, "smoothing": 2},
    "smoothed over 4 frames": {"reach": 10, "smoothing": 4},
    "smoothed, one level of 200": {"reach": 10, "smoothing": 2, "regions": (200,)},
}


class Score:
    """Mean IoU and flicker over videos, and processor seconds."""

    def __init__(self) -> None:
        self.confusion, self.flicker = ConfusionMatrix(13), Flicker()
        self.seconds, self.frames = 0.0, 0

    def update(self, labels: list[np.ndarray], truths: list[dict[str, np.ndarray]]) -> None:
        self.frames += len(labels)
        for label, truth in zip(labels, truths, strict=True):
            classes = torch.from_numpy(index_of_id40(13)[truth["labels"]])
            self.confusion.update(torch.from_numpy(label), classes)
        for (now, then), truth in zip(itertools.pairwise(labels), truths, strict=False):
            self.flicker.update(now, then, truth["flow_forward"], truth["visible_forward"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("rooms", type=Path)
    parser.add_argument("--rooms", dest="count", type=int, default=20)
    options = parser.parse_args()
    model = load_model(str(options.run))
    segmenter = Segmenter(model, model.classes, torch.device("cpu"))
    scores = {name: Score() for name in ("single frames", *ROWS)}
    folders = sorted((options.rooms / "frames" / "test").iterdir())[: options.count]
    for folder in track(folders, console=Console(stderr=True)):  # standard output is the file
        frames = list(FrameSequence(folder))
        truths = [truth_of(options.rooms / "truth" / "test" / folder.name / frame.name) for frame in frames]
        posteriors = [segmenter.posteriors(frame.picture(model.channels)) for frame in frames]
        views = [View(frame.image, each, frame.depth) for frame, each in zip(frames, posteriors, strict=True)]
        scores["single frames"].update([labels_of(each) for each in posteriors], truths)
        for name, options_of_row in ROWS.items():
            start = process_time()
            labels = [labels_of(each.posteriors) for each in steady(views, **options_of_row)]
            scores[name].seconds += process_time() - start
            scores[name].update(labels, truths)
    rows = [
        {
            "row": name,
            "mean_iou": score.confusion.compute().mean_iou,
            "flicker": score.flicker.compute(),
            "seconds": score.seconds / score.frames,
        }
        for name, score in scores.items()
    ]
    for row in rows:
        print(
            f"| {row['row']} | {row['flicker']:.2%} | {100 * row['mean_iou']:.1f} | {row['seconds']:.2f} |",
            file=sys.stderr,
        )
    print(json.dumps({"rooms": len(folders), "rows": rows, **environment()}, indent=1))


def truth_of(file: Path) -> dict[str, np.ndarray]:
    with np.load(file.with_suffix(".npz")) as truth:
        return {name: truth[name] for name in ("labels", "flow_forward", "visible_forward")}


def labels_of(posteriors: torch.Tensor) -> np.ndarray:
    return posteriors.argmax(0).to(torch.uint8).numpy()


if __name__ == "__main__":
    main()
