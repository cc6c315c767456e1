"""SUN3D: indoor RGB-D videos with polygon labels (Xiao et al., ICCV 2013), in 33 of NYUDv2's classes."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np

from tessella.datasets.file_dataset import FileDataset, MissingDepth, Record, require_split
from tessella.datasets.files import MissingSplit, read_map, read_size
from tessella.datasets.nyudv2_classes import CLASSES_40
from tessella.datasets.sample import IGNORE_INDEX
from tessella.errors import InputError

MERGES = {
    "floor mat": "floor",
    "dresser": "other furniture",
    "bag": "other prop",
    "clothes": "other prop",
    "paper": "other prop",
    "shower curtain": "other prop",
    "towel": "other prop",
}
"""NYUDv2's classes that SUN3D's 33 do without. The literature names the first two and says that five become
other props (He et al., CVPR 2017); which five is our choice."""

CLASSES = tuple(label for label in CLASSES_40 if label.name not in MERGES)

_INDEX_OF_NAME = {label.name: index for index, label in enumerate(CLASSES)}

INDEX_OF_NYUDV2 = np.array(
    [_INDEX_OF_NAME[MERGES.get(label.name, label.name)] for label in CLASSES_40], np.uint8
)
"""[40] uint8: from an index into NYUDv2's 40 classes, such as a prediction, to one into ``CLASSES``."""

SYNONYMS = {
    "blind": "blinds",
    "book": "books",
    "bookshelves": "bookshelf",
    "couch": "sofa",
    "cupboard": "cabinet",
    "fridge": "refrigerator",
    "monitor": "television",
    "nightstand": "night stand",
    "people": "person",
    "rug": "floor mat",
    "shelf": "shelves",
    "tv": "television",
    "white board": "whiteboard",
}
"""Names that annotators wrote, and the class they mean."""


class Polygon(NamedTuple):
    """Corners [N, 2] (x, y) in pixels, and the index of its class."""

    corners: np.ndarray
    label: int


class SUN3D(FileDataset):
    """``root/<place>/<scan>/image/*.jpg`` and ``annotation/index.json``: samples are frames with polygons.

    An object's name counts up to a colon or number ("chair:2"), in the singular, and by ``SYNONYMS``; what
    then is none of NYUDv2's classes is void. Small polygons lie over large ones. SUN3D publishes no splits.
    depth: whether to read ``depth/*.png``, of the frame nearest in time, in metres.
    neighbours: offsets in frames of the same scan, as far as it reaches.

    InputError: no annotated scan, or an annotation that does not match its images.
    """

    splits: ClassVar[tuple[str, ...]] = ("all",)

    def __init__(
        self, root: str | Path, split: str = "all", *, depth: bool = False, neighbours: Sequence[int] = ()
    ) -> None:
        require_split("SUN3D", split, self.splits)
        root = Path(root)
        annotations = sorted(root.glob("**/annotation/index.json"))
        if not annotations:
            raise MissingSplit(f"{root}: holds no <scan>/annotation/index.json; give SUN3D's root folder")
        self.polygons: dict[str, list[Polygon]] = {}
        records: list[Record] = []
        for annotation in annotations:
            scan = annotation.parent.parent
            video = _list_frames(scan, (Path(split) / scan.relative_to(root)).as_posix(), depth)
            for index, polygons in _read_annotation(annotation, len(video)).items():
                offsets = sorted(set(neighbours) - {0})
                places = [index + offset for offset in offsets if 0 <= index + offset < len(video)]
                near = tuple(video[place] for place in places)
                earlier = sum(place < index for place in places)
                frame = video[index]
                records.append(Record(frame.id, frame.image, annotation, frame.depth, near, earlier))
                self.polygons[frame.id] = polygons
        if not records:
            raise InputError(f"{root}: its annotations label no frame; give SUN3D's annotated scans")
        super().__init__(CLASSES, np.arange(256, dtype=np.uint8), records)

    def read_labels(self, record: Record) -> np.ndarray | None:
        height, width = read_size(record.image)
        labels = np.full((height, width), IGNORE_INDEX, np.uint8)
        for polygon in self.polygons[record.id]:
            cv2.fillPoly(labels, [np.rint(polygon.corners).astype(np.int32)], polygon.label)
        return labels

    def read_depth(self, record: Record) -> np.ndarray | None:
        """SUN3D stores millimetres with their bits rotated left by three."""
        if record.depth is None:
            return None
        stored = read_map(record.depth).astype(np.uint16)
        return ((stored >> 3) | (stored << 13)).astype(np.float32) / 1000

    def camera(self, record: Record, height: int, width: int) -> np.ndarray | None:
        """The scan's ``intrinsics.txt``, as published for its pictures; None where it is missing."""
        path = record.image.parent.parent / "intrinsics.txt"
        if not path.exists():
            return None
        try:
            return np.array(path.read_text().split(), float).reshape(3, 3)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: holds no 3 x 3 numbers; replace it with SUN3D's own") from error


def _list_frames(scan: Path, id_: str, depth: bool) -> list[Record]:
    """The images of a scan in temporal order, each with the depth map nearest in time if asked for."""
    images = sorted((scan / "image").glob("*.jpg"))
    depths = sorted((scan / "depth").glob("*.png")) if depth else []
    if not images or (depth and not depths):
        error = MissingDepth if images else InputError
        raise error(f"{scan}: holds no {'depth/*.png' if images else 'image/*.jpg'}; add them")
    times = np.array([_time(path) for path in depths])
    return [
        Record(
            f"{id_}/{path.stem}",
            path,
            depth=depths[int(np.abs(times - _time(path)).argmin())] if depth else None,
        )
        for path in images
    ]


def _time(path: Path) -> int:
    """``0000012-000000366667.jpg`` is frame 12, taken after 366667 microseconds."""
    try:
        return int(path.stem.split("-")[1])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: name it <frame>-<microseconds>{path.suffix}, as SUN3D does") from error


def _read_annotation(path: Path, num_images: int) -> dict[int, list[Polygon]]:
    """The polygons of each labelled frame, largest first."""
    try:
        content = json.loads(path.read_text())
        labels = [label_of_name(entry["name"]) if entry else IGNORE_INDEX for entry in content["objects"]]
        frames = {
            index: sorted(
                (Polygon(_corners(polygon), labels[polygon["object"]]) for polygon in frame["polygon"]),
                key=lambda polygon: -cv2.contourArea(polygon.corners),
            )
            for index, frame in enumerate(content["frames"])
            if frame and frame.get("polygon")
        }
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is missing, damaged or no annotation of SUN3D; replace it") from error
    if frames and max(frames) >= num_images:
        raise InputError(
            f"{path}: labels frame {max(frames)}, but there are {num_images} images; add the missing"
        )
    return frames


def _corners(polygon: dict[str, Any]) -> np.ndarray:
    return np.stack([np.ravel(polygon["x"]), np.ravel(polygon["y"])], axis=1).astype(np.float32)


def label_of_name(name: str) -> int:
    """The class of an object by the name that its annotator gave; 255 where there is none."""
    noun = re.split(r"[:\d]", name.lower())[0].replace("_", " ").strip()
    for candidate in (noun, noun.removesuffix("s")):
        known = SYNONYMS.get(candidate, candidate)
        index = _INDEX_OF_NAME.get(MERGES.get(known, known))
        if index is not None:
            return index
    return IGNORE_INDEX
