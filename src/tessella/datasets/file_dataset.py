"""A data set of one file per image and one per label map: what the readers of all such layouts share."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from tessella.datasets.files import find_files, read_image, read_labels
from tessella.datasets.lazy import Lazy
from tessella.datasets.sample import LabelClass, Sample
from tessella.errors import InputError


@dataclass(frozen=True)
class Record:
    """Where the parts of one sample lie; the fields mean what they mean in ``Sample``.

    earlier: how many of the neighbours come before it in the video.
    """

    id: str
    image: Path
    labels: Path | None = None
    depth: Path | None = None
    neighbours: tuple["Record", ...] = ()
    earlier: int = 0


class MissingDepth(InputError):
    """There is no depth at all: perhaps the user keeps none."""


class FileDataset:
    """Lists the records at construction, reads lazily; a layout's class finds the files and says how ids map.

    records, ids: the samples, sorted by id.
    orphans: one line for each image without labels and for each label map without an image.
    """

    splits: ClassVar[tuple[str, ...]]
    """The names that the second argument of the constructor may have."""

    def __init__(
        self,
        classes: Sequence[LabelClass],
        index_of_id: np.ndarray,
        records: Sequence[Record],
        orphans: Sequence[str] = (),
    ) -> None:
        self.classes = tuple(classes)
        self.index_of_id = index_of_id
        self.records = tuple(records)
        self.orphans = tuple(orphans)
        self.ids = tuple(record.id for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Raises InputError where a file is missing or damaged, sizes differ, or a label has no class."""
        record = self.records[index]
        image = self.read_image(record)
        labels = self.read_labels(record)
        depth = self.read_depth(record)
        neighbours = self.read_neighbours(record)
        if labels is not None:
            require_same_size(record.labels or record.image, labels, record.image, image)
        if depth is not None:
            require_same_size(record.depth or record.image, depth, record.image, image)
        return Sample(record.id, image, labels, depth, neighbours)

    def read_image(self, record: Record) -> np.ndarray:
        return read_image(record.image)

    def read_labels(self, record: Record) -> np.ndarray | None:
        return None if record.labels is None else read_labels(record.labels, self.index_of_id)

    def read_depth(self, record: Record) -> np.ndarray | None:
        """Layouts with depth override this; [H, W] float32 in metres, 0 where missing."""
        return None

    def read_guessed(self, record: Record) -> np.ndarray | None:
        """Layouts that know it override this: where depth was not measured but filled in, [H, W] bool."""
        return None

    def read_neighbours(self, record: Record) -> Sequence[Sample]:
        """Each is read when it is asked for: of a long video a training step takes few."""
        return Lazy(record.neighbours, self.read_frame)

    def read_frame(self, record: Record) -> Sample:
        """Image and depth alone."""
        image = self.read_image(record)
        depth = self.read_depth(record)
        if depth is not None:
            require_same_size(record.depth or record.image, depth, record.image, image)
        return Sample(record.id, image, None, depth)

    def camera(self, record: Record, height: int, width: int) -> np.ndarray | None:
        """Layouts that know it override this: the [3, 3] intrinsics of a record's picture, pixels counted from 0."""
        return None


def require_split(name: str, split: str, splits: Sequence[str]) -> None:
    """InputError where ``split`` is none of a layout's."""
    if split not in splits:
        raise InputError(f"split {split!r}: {name} has {', '.join(splits)}; choose one of them")


def require_same_size(path: Path, values: np.ndarray, image_path: Path, image: np.ndarray) -> None:
    """InputError where a map has another height or width than its image."""
    if values.shape[:2] != image.shape[:2]:
        raise InputError(
            f"{path}: is {values.shape[1]}x{values.shape[0]}, but its image {image_path.name} is "
            f"{image.shape[1]}x{image.shape[0]}; make both the same size"
        )


def pair(
    prefix: str, images: Mapping[str, Path], labels: Mapping[str, Path], skip_orphans: bool
) -> tuple[list[Record], list[str]]:
    """Records of the images that have labels under the same key, and a line for each file that stays alone.

    prefix: put before the key to make the id, e.g. ``"train/"``.

    InputError: an image without labels, unless ``skip_orphans``; or no image with labels at all.
    """
    orphans = [
        f"{path}: has no label map; add it, or leave out such images with skip_orphans=True"
        for key, path in images.items()
        if key not in labels
    ]
    if orphans and not skip_orphans:
        raise InputError(orphans[0])
    records = [Record(prefix + key, path, labels[key]) for key, path in images.items() if key in labels]
    if not records:
        raise InputError(f"{next(iter(images.values())).parent}: no image has a label map of the same name")
    orphans += [
        f"{path}: has no image; add it or remove the label map"
        for key, path in labels.items()
        if key not in images
    ]
    return records, orphans


def find_depth(folder: Path, ending: str) -> dict[str, Path]:
    """``find_files``; MissingDepth where there is none."""
    try:
        return find_files(folder, ending)
    except InputError as error:
        raise MissingDepth(str(error)) from error


def with_depth(prefix: str, records: Sequence[Record], depths: Mapping[str, Path]) -> list[Record]:
    """The records with their depth files, found by key; InputError for a record without."""
    found = []
    for record in records:
        depth = depths.get(record.id.removeprefix(prefix))
        if depth is None:
            raise InputError(f"{record.image}: has no depth; add the file or do not ask for depth")
        found.append(replace(record, depth=depth))
    return found


def with_neighbours(
    records: Sequence[Record],
    frames: Mapping[tuple[str, int], Record],
    place: Callable[[str], tuple[str, int]],
    offsets: Sequence[int],
) -> list[Record]:
    """The records with the frames at ``offsets`` from them, as far as their video reaches.

    frames: all frames by video and number. place: the video and number of a record, given its id.
    InputError: a record without any neighbour, unless its video is that one frame.
    """
    found = []
    lengths = Counter(video for video, _ in frames)
    for record in records:
        video, number = place(record.id)
        near = [offset for offset in sorted(set(offsets) - {0}) if (video, number + offset) in frames]
        if not near and not (lengths[video] == 1 and (video, number) in frames):
            raise InputError(
                f"{record.image}: no video frame at offsets {min(offsets)} to {max(offsets)}; add the video's frames"
            )
        neighbours = tuple(frames[video, number + offset] for offset in near)
        earlier = sum(offset < 0 for offset in near)
        found.append(replace(record, neighbours=neighbours, earlier=earlier))
    return found
