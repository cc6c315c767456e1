"""tessella audit: does a model give away which images it was trained on?"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from rich.progress import track

from tessella.commands.data import find_dataset
from tessella.commands.model import open_model
from tessella.datasets import SegmentationDataset
from tessella.datasets.file_dataset import FileDataset
from tessella.datasets.loading import Batch
from tessella.errors import InputError
from tessella.membership_inference.black_box import BlackBox
from tessella.reports.audit import write_audit
from tessella.runs.asking import fingerprint
from tessella.runs.audit import Victim, audit
from tessella.runs.defended import defended
from tessella.runs.model import Model
from tessella.runs.segmentation import open_split
from tessella.runs.shadows import ShadowModel


def run(options: argparse.Namespace) -> None:
    model, device = open_model(options)
    open_ = partial(_open, model=model, dataset=options.dataset)
    out = options.out
    result = audit(
        Victim(
            black_box_of(model, device, options.defence, options.generator),
            " behind ".join([options.model, *options.defence]),
            known_classes(model, options.model),
            fingerprint(model.network),
        ),
        open_(options.members),
        open_(options.nonmembers),
        out,
        owner=(open_(options.owner[0]), open_(options.owner[1])) if options.owner else None,
        shadows=[_shadow(options, *each) for each in options.shadow],
        attacker_steps=options.attacker_steps,
        label_only=not options.no_label_only,
        chosen=options.chosen,
        command=shlex.join(["tessella", *sys.argv[1:]]),
        progress=asking_about,
    )
    print(result["verdict"])
    if "owners_test" in result:
        print(
            f"The owner's images: p = {result['owners_test']['p_value']:.4f} that chance alone scores them so high"
        )
    print(f"Report: {write_audit(out)}")


def black_box_of(model: Model, device: torch.device, defences: Sequence[str], generator: str) -> BlackBox:
    """The model on its device, behind defences."""
    return defended(lambda images: model(images.to(device)), model.network, defences, generator)


def known_classes(model: Model, source: str) -> list[str]:
    """InputError where the model does not name them."""
    if model.classes is None:
        raise InputError(
            f"{source}: does not name its classes; audit a run, a checkpoint or an exported file"
        )
    return [label.name for label in model.classes]


def asking_about(batches: Iterable[Batch], name: str, total: int) -> Iterable[Batch]:
    """A progress bar."""
    return track(batches, f"Asking about {name}", total=total)


def _shadow(options: argparse.Namespace, source: str, members: str, nonmembers: str) -> ShadowModel:
    """Behind the victim's defences: an attacker who knows of them puts them before his own models too."""
    model, device = open_model(argparse.Namespace(**{**vars(options), "model": source}))
    return ShadowModel(
        black_box_of(model, device, options.defence, options.generator),
        " behind ".join([source, *options.defence]),
        fingerprint(model.network),
        _open(members, model, options.dataset),
        _open(nonmembers, model, options.dataset),
    )


def _open(where: str, model: Model, dataset: str | None) -> SegmentationDataset:
    """PATH:SPLIT of the named data set, or of the one that the model was trained on."""
    path, colon, split = where.rpartition(":")
    if not colon:
        raise InputError(f"{where}: give a data set's folder and a split of it, as {where}:train")
    if model.config is None and dataset is not None:
        reader: Callable[..., FileDataset] = find_dataset(dataset)
        return reader(Path(path), split)
    if model.config is None:
        raise InputError("audit needs --dataset NAME for a model that was not trained here")
    return open_split(model.config, Path(path), split)
