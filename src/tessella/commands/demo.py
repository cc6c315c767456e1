"""tessella demo: the main job on rendered scenes, from nothing to a report."""

import argparse
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from tessella.commands.evaluate import print_scores
from tessella.commands.scenes import render_with_progress
from tessella.recipes.streets import streets
from tessella.reports import write_report
from tessella.runs.evaluation import evaluate
from tessella.runs.model import load_model
from tessella.runs.prediction import Segmenter, find_pictures, predict_pictures
from tessella.runs.segmentation import open_split, train
from tessella.training.fit import Machine

SEQUENCES = {"train": 320, "val": 20, "test": 8}


def run(options: argparse.Namespace) -> None:
    start = time.monotonic()
    console = Console()
    data, run_folder = options.out / "streets", options.out / "run"

    console.rule("1  Render streets")
    render_with_progress(
        "street", data, sequences=SEQUENCES, frames=1, height=240, width=320, seed=0, workers=2
    )
    if (run_folder / "checkpoints" / "last.ckpt").exists():
        console.print(f"{run_folder} holds a trained network already: remove {options.out} to begin anew")
    else:
        console.rule("2  Train a small PSPNet")
        config = streets()
        train(config, "streets", data, run_folder, machine=Machine(accelerator="cpu"))
    _evaluate_and_report(data, run_folder, console)
    _segment_new_images(data, run_folder, options.out / "predictions", console)
    minutes = (time.monotonic() - start) / 60
    console.print(
        f"Done in {minutes:.1f} minutes. Open {run_folder}/report.html and {options.out}/predictions"
    )


def _evaluate_and_report(data: Path, run_folder: Path, console: Console) -> None:
    console.rule("3  Evaluate it on unseen streets")
    model = load_model(str(run_folder))
    dataset = open_split(streets(), data, "val")
    scores = evaluate(
        model,
        dataset,
        run_folder / "evaluation" / "val",
        description={
            "dataset": "rendered streets",
            "split": "val",
            "network": "PSPNet",
            "checkpoint": "best.ckpt",
        },
        device=torch.device("cpu"),
        progress=lambda batches: track(batches, "Evaluating", total=len(dataset)),
    )
    print_scores(scores, dataset)
    write_report(run_folder)


def _segment_new_images(data: Path, run_folder: Path, out: Path, console: Console) -> None:
    console.rule("4  Segment new images")
    model = load_model(str(run_folder))
    pictures = find_pictures([data / "leftImg8bit" / "test"])
    predict_pictures(Segmenter(model, model.classes, torch.device("cpu")), track(pictures, "Segmenting"), out)
