"""tessella evaluate: the table of a model on labelled images."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tessella.commands.data import find_dataset
from tessella.commands.model import open_model
from tessella.datasets import Prepared, SegmentationDataset, class_names
from tessella.datasets.file_dataset import FileDataset
from tessella.datasets.sun3d import CLASSES as SUN3D_CLASSES
from tessella.datasets.sun3d import INDEX_OF_NYUDV2
from tessella.errors import InputError
from tessella.metrics import SegmentationScores
from tessella.reports import write_report
from tessella.runs.configuration import override
from tessella.runs.environment import described_run
from tessella.runs.evaluation import Predict, evaluate, merging
from tessella.runs.label_spaces import require_same_classes
from tessella.runs.model import Model
from tessella.runs.segmentation import open_test_split


def run(options: argparse.Namespace) -> None:
    model, device = open_model(options)
    if options.views is not None:
        model = model.with_views(options.views)
    run_folder = _run_folder(Path(options.model))
    dataset, split = _dataset(options, model, run_folder)
    out = options.out or _own_results(options, run_folder) / split
    predict = _predict(model, dataset, device)
    scores = evaluate(
        predict,
        dataset,
        out,
        description={
            "dataset": options.dataset or _name(model.config.dataset if model.config else dataset),
            "split": split,
            # Of a model of others no more is known than where it is: classes around it are ours.
            "network": _name(model.config.network) if model.config else options.model,
            "checkpoint": Path(options.model).name,
        },
        boundaries=options.boundaries,
        progress=lambda batches: track(batches, f"Evaluating {split}", total=len(dataset)),
    )
    print_scores(scores, dataset)
    print(f"Saved {out}/result.json")
    if run_folder and options.out is None:
        print(f"Report: {write_report(run_folder)}")


def print_scores(scores: SegmentationScores, dataset: SegmentationDataset) -> None:
    """The four scores and the IoU of each class, as a table."""
    table = Table("score", "%", box=None, pad_edge=False)
    for name in ("pixel_accuracy", "class_accuracy", "mean_iou", "frequency_weighted_iou"):
        table.add_row(name.replace("_", " "), f"{100 * getattr(scores, name):.1f}")
    for label_class, iou in zip(dataset.classes, scores.iou_per_class.tolist(), strict=True):
        table.add_row(f"  IoU {label_class.name}", "-" if iou != iou else f"{100 * iou:.1f}")
    Console().print(table)


def _run_folder(model: Path) -> Path | None:
    """The run's folder that a folder or one of its checkpoints belongs to."""
    for folder in (model, model.parent.parent):
        if (folder / "config.json").is_file() and (folder / "checkpoints").is_dir():
            return folder
    return None


def _own_results(options: argparse.Namespace, run_folder: Path | None) -> Path:
    """Where a run keeps what its best checkpoint does as it was configured; InputError for what would replace that."""
    if run_folder is None:
        raise InputError("evaluate needs --out FOLDER for a model that is not in a run's folder")
    model = Path(options.model)
    other = [] if model in (run_folder, run_folder / "checkpoints" / "best.ckpt") else [model.name]
    other += [
        f"--{way}"
        for way in ("dataset", "views", "scales", "window", "flip")
        if getattr(options, way) is not None
    ]
    if other:
        raise InputError(
            f"evaluate needs --out FOLDER with {', '.join(other)}: {run_folder / 'evaluation'} is for the run's best "
            "checkpoint on its own data set, asked as configured"
        )
    return run_folder / "evaluation"


def _dataset(
    options: argparse.Namespace, model: Model, run_folder: Path | None
) -> tuple[SegmentationDataset, str]:
    if model.config is not None and options.dataset is None:
        data = options.data
        if data is None and run_folder is not None:
            data = Path(described_run(run_folder)["data"])
        if data is None:
            raise InputError("evaluate needs --data FOLDER, the folder of the data set")
        return dataset_of(model, data, options.split)
    if options.dataset is None or options.data is None or options.split is None:
        raise InputError(
            "evaluate needs --dataset NAME, --data FOLDER and --split NAME for a model not trained here"
        )
    reader: Callable[..., FileDataset] = find_dataset(options.dataset)
    config = model.config
    if config is None or getattr(config.dataset, "func", None) is not Prepared:
        return reader(options.data, options.split), options.split
    # A model of prepared video: this data set is one, with the window that the model was trained on.
    own = config.dataset.keywords["dataset"]  # type: ignore[attr-defined]
    window = partial(reader, depth=True, neighbours=own.keywords.get("neighbours", ()))
    dataset = override(partial(config.dataset, dataset=window), {"folder": None})
    return open_test_split(replace(config, dataset=dataset), options.data, options.split), options.split


def _predict(model: Model, dataset: SegmentationDataset, device: torch.device) -> Predict:
    """NYUDv2's 40 classes are merged to SUN3D's 33 where those are asked for (table 3.6 of the thesis).

    Raises InputError where a model of ours has other classes than the data; others may name the same ones otherwise.
    """
    predict = model.on_batches(device)
    if tuple(dataset.classes) == SUN3D_CLASSES and len(model.classes or ()) == len(INDEX_OF_NYUDV2):
        return merging(predict, INDEX_OF_NYUDV2)
    if model.config is not None and model.classes is not None:
        require_same_classes("the data", class_names(dataset.classes), class_names(model.classes))
    return predict


def dataset_of(model: Model, data: Path, split: str | None) -> tuple[SegmentationDataset, str]:
    """The data set that a model of ours was trained for, at ``data``, and its split; its test split by default."""
    if model.config is None:
        raise InputError("this model was not trained here: its data set is not known")
    split = split or model.config.test_split
    return open_test_split(model.config, data, split), split


def _name(thing: object) -> str:
    """The class of an object, or the class that a partial of it will build."""
    kind = getattr(thing, "func", thing)
    return kind.__name__ if isinstance(kind, type) else type(kind).__name__
