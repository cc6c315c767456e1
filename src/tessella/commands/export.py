"""tessella export: a file that runs without Tessella."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import track

from tessella.commands.evaluate import dataset_of
from tessella.dilation import as_plain_convolutions, dilation_parameters, fold_dilation, round_dilation
from tessella.errors import InputError
from tessella.networks.export import export
from tessella.runs.evaluation import evaluate
from tessella.runs.model import Model, is_url, load_model


def run(options: argparse.Namespace) -> None:
    if is_url(options.model) or Path(options.model).suffix in (".onnx", ".pt2"):
        raise InputError(
            f"{options.model}: export takes a run's folder, a checkpoint or file.py:callable, no server and no "
            "exported file"
        )
    model = load_model(options.model, ("tessella", *options.trust))
    if model.resize is not None:
        raise InputError(
            f"this model was trained on images resized to {model.resize[0]}x{model.resize[1]}: export takes models "
            "trained with resize none"
        )
    if dilation_parameters(model.network):
        model = _deployed(model, options)
    elif options.dilation == "rounded":
        raise InputError(f"{options.model} has no learned dilation: leave --dilation away")
    report = export(
        model.network,
        options.out,
        input_size=(options.height, options.width),
        in_channels=int(model.network.mean.numel()),  # type: ignore[operator]
        classes=model.classes or (),
    )
    print(report)


def _deployed(model: Model, options: argparse.Namespace) -> Model:
    """Learned dilation in ordinary operations: as it is, or rounded, with what that costs where there is data."""
    if options.dilation == "folded":
        return replace(model, network=fold_dilation(model.network))
    before = _mean_iou(model, options) if options.data else None
    factors = dilation_parameters(model.network)
    learned = torch.cat([factor.detach().clone() for factor in factors])
    round_dilation(model.network)
    moved = (torch.cat([factor.detach() for factor in factors]) - learned).abs().mean()
    print(f"{learned.numel()} dilation factors rounded, by {moved:.2f} on average")
    model = replace(model, network=as_plain_convolutions(model.network))
    if before is not None:
        after = _mean_iou(model, options)
        print(
            f"mean IoU {100 * before:.2f} as learned, {100 * after:.2f} rounded ({100 * (after - before):+.2f})"
        )
    return model


def _mean_iou(model: Model, options: argparse.Namespace) -> float:
    dataset, split = dataset_of(model, options.data, options.split)
    with tempfile.TemporaryDirectory() as folder:
        scores = evaluate(
            model.on_batches(torch.device("cpu")),
            dataset,
            Path(folder),
            description={},
            pictures=0,
            progress=lambda batches: track(batches, f"Evaluating {split}", total=len(dataset)),
        )
    return scores.mean_iou
