"""tessella demo: the main job on rendered scenes, from nothing to a report."""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from tessella.commands.evaluate import print_scores
from tessella.commands.scenes import render_with_progress
from tessella.dilation import LearnableDilation
from tessella.recipes.streets import streets
from tessella.reports import compare_runs, comparison_table, write_report
from tessella.runs.evaluation import evaluate
from tessella.runs.model import load_model
from tessella.runs.prediction import Segmenter, find_pictures, predict_pictures
from tessella.runs.segmentation import open_split, train
from tessella.training.fit import Machine

SEQUENCES = {"train": 320, "val": 20, "test": 8}
MORE_STEPS = 200


def run(options: argparse.Namespace) -> None:
    start = time.monotonic()
    console = Console()
    data, run_folder = options.out / "streets", options.out / "run"

    console.rule("1  Render streets")
    render_with_progress(
        "street", data, sequences=SEQUENCES, frames=1, height=240, width=320, seed=0, workers=2
    )
    machine = Machine(accelerator="cpu")
    if (run_folder / "checkpoints" / "last.ckpt").exists():
        console.print(f"{run_folder} holds a trained network already: remove {options.out} to begin anew")
    else:
        console.rule("2  Train a small PSPNet")
        train(streets(), "streets", data, run_folder, machine=machine)
    console.rule("3  Evaluate it on unseen streets")
    _evaluate_and_report(data, run_folder, "PSPNet")
    _segment_new_images(data, run_folder, options.out / "predictions", console)
    _learn_dilation(data, run_folder, options.out, machine, console)
    minutes = (time.monotonic() - start) / 60
    console.print(
        f"Done in {minutes:.1f} minutes. Open {run_folder}/report.html, {options.out}/dilation.html and "
        f"{options.out}/predictions"
    )


def _evaluate_and_report(data: Path, run_folder: Path, network: str) -> None:
    model = load_model(str(run_folder))
    dataset = open_split(streets(), data, "val")
    scores = evaluate(
        model.on_batches(torch.device("cpu")),
        dataset,
        run_folder / "evaluation" / "val",
        description={
            "dataset": "rendered streets",
            "split": "val",
            "network": network,
            "checkpoint": "best.ckpt",
        },
        progress=lambda batches: track(batches, "Evaluating", total=len(dataset)),
    )
    print_scores(scores, dataset)
    write_report(run_folder)


def _learn_dilation(data: Path, trained: Path, out: Path, machine: Machine, console: Console) -> None:
    """Train the network a little more, its dilation fixed and learned: the same steps on the same images."""
    console.rule("5  Learn its dilation")
    base = streets()
    more = replace(
        base,
        network=partial(LearnableDilation, network=base.network, ranges=((2, 1, 4), (4, 1, 8))),
        weights=str(trained / "checkpoints" / "best.ckpt"),
        steps=MORE_STEPS,
        validate_every=MORE_STEPS,
        learning_rate=base.learning_rate / 3,
        dilation_learning_rate=0.02,
    )
    runs = {"fixed": replace(more, dilation_learning_rate=0.0), "learned": more}
    for name, config in runs.items():
        run_folder = out / f"dilation_{name}"
        if not (run_folder / "checkpoints" / "last.ckpt").exists():
            train(config, "streets", data, run_folder, machine=machine)
        _evaluate_and_report(data, run_folder, f"PSPNet, {name} dilation")
    folders = [out / f"dilation_{name}" for name in runs]
    console.print(comparison_table(folders))
    compare_runs(folders, out / "dilation.html")


def _segment_new_images(data: Path, run_folder: Path, out: Path, console: Console) -> None:
    console.rule("4  Segment new images")
    model = load_model(str(run_folder))
    pictures = find_pictures([data / "leftImg8bit" / "test"])
    predict_pictures(Segmenter(model, model.classes, torch.device("cpu")), track(pictures, "Segmenting"), out)
