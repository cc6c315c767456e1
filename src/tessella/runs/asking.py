"""Asks a model about every image of a data set, and keeps each answer as soon as it is there."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tessella.datasets import IGNORE_INDEX, SegmentationDataset
from tessella.datasets.loading import Batch, evaluation_loader
from tessella.errors import InputError
from tessella.files import write_text
from tessella.membership_inference.answers import STEADINESS, ask
from tessella.membership_inference.black_box import BlackBox, Posteriors
from tessella.membership_inference.blind import features
from tessella.membership_inference.learned import describe
from tessella.metrics.labels import outside_classes_error
from tessella.pictures import to_rgb8
from tessella.training.checkpoint_files import checkpoint_file

Progress = Callable[[Iterable[Batch], str, int], Iterable[Batch]]
Row = dict[str, Any]

SMALLEST = (45, 60)
"""Of what the learned attack looks at, which is an eighth of the images, as the authors' is: CamVid's 360x480."""

KEY = ("side", "id", "content", "labels")
"""Of what is kept: the data set, the image's name, and what its file and its labels hold."""


def silent(batches: Iterable[Batch], name: str, total: int) -> Iterable[Batch]:
    """No progress is shown."""
    return batches


class Kept:
    """A file of lines, one for each image; what was written is not asked again.

    head: what the answers depend on. InputError where the file is of another head, or damaged.
    """

    def __init__(self, path: Path, head: Row) -> None:
        self.path = path
        lines = path.read_text().split("\n")[:-1] if path.exists() else []  # the last may be half a line
        try:
            first, *rows = map(json.loads, lines or [json.dumps(head)])
            self.known = {tuple(row[name] for name in KEY): row for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is damaged; remove it and audit again") from error
        if first != head:
            raise InputError(f"{path}: is of another audit; give another --out")
        write_text(path, "".join(json.dumps(row) + "\n" for row in (head, *self.known.values())))

    def find(self, key: Row) -> Row | None:
        return self.known.get(tuple(key[name] for name in KEY))

    def add(self, row: Row) -> Row:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row


def ask_all(
    black_box: BlackBox,
    dataset: SegmentationDataset,
    kept: Kept,
    *,
    side: str,
    label_only: bool,
    maps: Path | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """What ``Answer`` says of each image, with its id, a hash of its content, and what it shows ("seen").

    What needs labels is None where an image has none.
    side: a name for the data set. label_only: ask nine times more for the attack that needs labels alone. maps: a file
    of NumPy's for what the learned attack looks at, [images, 2K + 2, height, width] float16, an eighth of the first
    image's size, ``SMALLEST`` at least.

    Raises InputError for a label that is no class.
    """
    rows = []
    classes = len(dataset.classes)
    drawn = None if maps is None else _open_maps(maps, dataset)
    for place, batch in enumerate(progress(evaluation_loader(dataset), side, len(dataset))):
        key = {
            "side": side,
            "id": batch["id"][0],
            "content": _digest(batch["image"]),
            "labels": _digest(batch["labels"]) if "labels" in batch else "",
        }
        row = kept.find(key)
        # The maps of an earlier data set, in another order, are not those of this one.
        undrawn = drawn is not None and row and (row.get("map") != place or not drawn[place].any())
        if row is None or undrawn or (label_only and STEADINESS not in row["scores"]):
            answer, posteriors = _answer(black_box, batch, label_only, classes)
            if drawn is not None:
                labels = batch.get("labels", torch.full(posteriors[:, 0].shape, IGNORE_INDEX))
                labels = labels.to(posteriors.device)
                drawn[place] = describe(posteriors, labels, drawn.shape[2:])[0].half().cpu().numpy()
                answer["map"] = place
            row = kept.add(key | answer)
        rows.append(row)
    return rows


def is_labelled(row: Row) -> bool:
    return bool(row["labels"])


def require_apart(rows: dict[str, list[Row]], one: str, other: str) -> None:
    """InputError where the same picture is on both sides."""
    first = {row["content"]: row["id"] for row in rows[one]}
    both = [(first[row["content"]], row["id"]) for row in rows[other] if row["content"] in first]
    if both:
        raise InputError(
            f"{one} and {other} share {len(both)} images, as {both[0][0]} and {both[0][1]}: they cannot be both"
        )


def fingerprint(network: nn.Module) -> str:
    """The same for the same parameters and buffers."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in network.state_dict().items():
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + content.numpy().tobytes())
    return digest.hexdigest()


def scores_of(rows: list[Row], name: str) -> np.ndarray:
    """nan for an image that the attack says nothing of: one without a pixel that has a class, or a border."""
    return np.array([np.nan if row["scores"][name] is None else row["scores"][name] for row in rows])


def fingerprint_of(path: str) -> str:
    """The same for the same file, or best checkpoint of a run's folder; of FILE.py:FUNCTION it is the file's."""
    file = checkpoint_file(Path(path.split(":")[0]))
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest() if file.is_file() else ""


def _digest(values: Tensor) -> str:
    """The same for equal pictures, or labels."""
    return hashlib.blake2b(values.numpy().tobytes(), digest_size=16).hexdigest()


def _open_maps(path: Path, dataset: SegmentationDataset) -> np.ndarray:
    """Those that are there, or new ones, which are 0 where nothing was asked yet."""
    size = (
        max(-(-length // 8), least) for length, least in zip(dataset[0].image.shape, SMALLEST, strict=False)
    )
    shape = (len(dataset), 2 * len(dataset.classes) + 2, *size)
    if path.exists():
        found: np.ndarray = np.load(path, mmap_mode="r+")
        if found.shape == shape:
            return found
    return np.lib.format.open_memmap(path, "w+", np.float16, shape)


def _answer(black_box: BlackBox, batch: Batch, label_only: bool, classes: int) -> tuple[Row, Posteriors]:
    image, labels = batch["image"], batch.get("labels")
    if labels is not None:
        counted = labels[labels != IGNORE_INDEX]
        if counted.numel() and not 0 <= counted.min() <= counted.max() < classes:
            raise outside_classes_error(batch["id"][0], counted, classes)
    picture = to_rgb8(image[0].permute(1, 2, 0).contiguous().numpy())
    with torch.inference_mode():
        answer, posteriors = ask(black_box, image, labels, label_only)
    seen = [round(float(x), 4) for x in features(picture)]
    return {**asdict(answer), "seen": seen}, posteriors
