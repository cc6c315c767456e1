"""NYUDv2-like videos as plain files: colour, depth and label PNGs of each frame side by side."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np

from tessella.datasets.file_dataset import (
    Record,
    find_depth,
    require_split,
    with_depth,
    with_neighbours,
)
from tessella.datasets.files import find_files, find_images, label_table, read_map
from tessella.datasets.kinect import KinectFiles
from tessella.datasets.nyudv2 import require_classes
from tessella.datasets.nyudv2_classes import CLASSES, index_of_id40
from tessella.datasets.sample import IGNORE_INDEX
from tessella.errors import InputError

METRES_PER_UNIT = 10 / 65535


class NYUDv2Frames(KinectFiles):
    """``root/<split>/<video>/<frame>_color.png`` (or .jpg), and ``<frame>_label13.png`` beside some of them.

    Split "all" takes every video below root. A label map holds 0 for void and classes from 1; where there are
    none for ``classes``, those of 40 classes are merged.
    depth: whether to read ``<frame>_depth_filled.png``, 16 bit, 10 / 65535 metres a unit, 0 for none, as the
    authors of STD2P publish it (He et al., CVPR 2017).
    neighbours: offsets in frames within the video, in the order of names, as far as it reaches.

    Only frames with labels are samples. InputError: a folder or file that was asked for is missing.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        classes: Literal[40, 13, 4] = 13,
        depth: bool = False,
        neighbours: Sequence[int] = (),
    ) -> None:
        require_split("NYUDv2Frames", split, self.splits)
        require_classes(classes)
        folder = Path(root) if split == "all" else Path(root) / split
        images = find_images(folder, ("_color.png", "_color.jpg"))
        labels, index_of_id = _find_labels(folder, classes)
        video = [Record(f"{split}/{key}", path, labels.get(key)) for key, path in images.items()]
        if depth:
            video = with_depth(f"{split}/", video, find_depth(folder, "_depth_filled.png"))
        records = [record for record in video if record.labels is not None]
        if not records:
            raise InputError(f"{folder}: no *_color image has a label map of the same name")
        if neighbours:
            places = {record.id: place for place, record in _by_place(video).items()}
            records = with_neighbours(records, _by_place(video), places.__getitem__, neighbours)
        orphans = [
            f"{path}: has no image; add it or remove the label map"
            for key, path in labels.items()
            if key not in images
        ]
        super().__init__(CLASSES[classes], index_of_id, records, orphans)

    def read_depth(self, record: Record) -> np.ndarray | None:
        if record.depth is None:
            return None
        return read_map(record.depth).astype(np.float32) * np.float32(METRES_PER_UNIT)


def _find_labels(folder: Path, classes: int) -> tuple[dict[str, Path], np.ndarray]:
    try:
        table = label_table({0: IGNORE_INDEX} | {i + 1: i for i in range(classes)})
        return find_files(folder, f"_label{classes}.png"), table
    except InputError as none:
        try:
            return find_files(folder, "_label40.png"), index_of_id40(classes)
        except InputError:
            raise none from None


def _by_place(video: Sequence[Record]) -> dict[tuple[str, int], Record]:
    """Each frame by its video and its position among the video's frames."""
    places: dict[tuple[str, int], Record] = {}
    counts: dict[str, int] = {}
    for frame in video:
        name = str(PurePosixPath(frame.id).parent)
        places[name, counts.get(name, 0)] = frame
        counts[name] = counts.get(name, 0) + 1
    return places
