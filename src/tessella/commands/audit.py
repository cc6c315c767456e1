"""tessella audit: does a model give away which images it was trained on?"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from tessella.commands.data import find_dataset
from tessella.commands.model import REMOTE, open_model
from tessella.datasets import Folders, LabelClass, Sample, SegmentationDataset, class_names
from tessella.datasets.file_dataset import FileDataset
from tessella.datasets.loading import Batch, Transformed
from tessella.errors import InputError
from tessella.reports.audit import write_audit
from tessella.runs.asking import fingerprint, fingerprint_of
from tessella.runs.audit import Victim, audit
from tessella.runs.defended import defended
from tessella.runs.label_spaces import require_same_classes
from tessella.runs.model import Model
from tessella.runs.segmentation import open_split
from tessella.runs.shadows import ShadowModel


def run(options: argparse.Namespace) -> None:
    model, device = open_model(options)
    open_ = partial(_open, model=model, device=device, options=options)
    out, members = options.out, open_(options.members)
    result = audit(
        victim_of(options, model, device, model.classes or members.classes),
        members,
        open_(options.nonmembers),
        out,
        owner=(open_(options.owner[0]), open_(options.owner[1])) if options.owner else None,
        shadows=[_shadow(options, number, *each) for number, each in enumerate(options.shadow)],
        block=options.block,
        attacker_steps=options.attacker_steps,
        label_only=not options.no_label_only,
        chosen=options.chosen,
        command=shlex.join(["tessella", *sys.argv[1:]]),
        progress=asking_about,
    )
    print(result["verdict"])
    if "owners_test" in result:
        p_value = result["owners_test"]["p_value"]
        print(
            "The owner's images: no answer, since those suspected and those held out look different without the model"
            if p_value is None
            else f"The owner's images: p = {p_value:.4f} that chance alone scores them so high"
        )
    print(f"Report: {write_audit(out)}")


def victim_of(
    options: argparse.Namespace,
    model: Model,
    device: torch.device,
    classes: Sequence[LabelClass],
    secret: bytes = b"of the victim",
) -> Victim:
    """The model on its device, behind the defences of the options. secret: whose noise no other model has."""
    return Victim(
        defended(
            lambda images: model(images.to(device)),
            model.network,
            options.defence,
            options.generator,
            secret,
            trusted=("tessella", *options.trust),
        ),
        " behind ".join([options.model, *options.defence]),
        class_names(classes),
        _fingerprint(options, model),
    )


def _fingerprint(options: argparse.Namespace, model: Model) -> str:
    """Of all that answers depend on: the weights, how they are asked, and the generator of a defence."""
    # An exported network has no weights that can be looked at, but its file.
    weights = fingerprint_of(options.model) if Path(options.model).is_file() else fingerprint(model.network)
    generator = fingerprint_of(options.generator) if options.generator else ""
    return f"{weights} {model.plan} {generator}".strip()


def asking_about(batches: Iterable[Batch], name: str, total: int) -> Iterable[Batch]:
    """A progress bar."""
    return track(batches, f"Asking about {name}", total=total)


def _shadow(
    options: argparse.Namespace, number: int, source: str, members: str, nonmembers: str
) -> ShadowModel:
    """Behind the victim's defences: an attacker who knows of them puts them before his own models too."""
    of_shadow = argparse.Namespace(**{**vars(options), **dict.fromkeys((*REMOTE, "key")), "model": source})
    if Path(source).suffix == ".onnx":
        of_shadow.classes = options.classes
    model, device = open_model(of_shadow)
    if model.config is not None:
        of_shadow.dataset = None  # one that was trained here has splits of its own, as PATH:members
    own = _open(members, model, device, of_shadow)
    if model.classes:
        require_same_classes(members, class_names(own.classes), class_names(model.classes))
    shadow = victim_of(of_shadow, model, device, own.classes, f"of shadow {number}".encode())
    return ShadowModel(
        shadow.black_box,
        shadow.description,
        shadow.fingerprint,
        own,
        _open(nonmembers, model, device, of_shadow),
    )


def _open(where: str, model: Model, device: torch.device, options: argparse.Namespace) -> SegmentationDataset:
    """PATH:SPLIT of the named data set, or of the one that the model was trained on; unlabelled, or any folder."""
    if options.unlabelled and Path(where).is_dir():
        return Folders(where, None, classes=model.classes or _count_classes(model, device, where))
    path, colon, split = where.rpartition(":")
    if not colon:
        raise InputError(
            f"{where}: give a data set's folder and a split of it, as {where}:train; or, for a folder of images "
            "alone, --unlabelled"
        )
    if options.dataset is not None:
        reader: Callable[..., FileDataset] = find_dataset(options.dataset)
        found: SegmentationDataset = reader(Path(path), split)
    elif model.config is not None:
        found = open_split(model.config, Path(path), split)
    else:
        raise InputError("audit needs --dataset NAME for a model that was not trained here")
    return Transformed(found, _without_labels) if options.unlabelled else found


def _count_classes(model: Model, device: torch.device, folder: str) -> int:
    """By what a model that does not name its classes says of the first image."""
    picture = torch.from_numpy(Folders(folder, None, classes=1)[0].image)
    return int(model(picture.movedim(-1, 0)[None].to(device)).shape[1])


def _without_labels(sample: Sample, rng: np.random.Generator) -> Sample:
    return replace(sample, labels=None)
