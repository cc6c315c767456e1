"""Cityscapes: streets of 50 cities in 19 classes (Cordts et al., CVPR 2016), with video and stereo depth."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from tessella.datasets import camvid
from tessella.datasets.file_dataset import (
    FileDataset,
    Record,
    find_depth,
    pair,
    require_split,
    with_depth,
    with_neighbours,
)
from tessella.datasets.files import find_files, find_images, label_table, read_map
from tessella.datasets.sample import IGNORE_INDEX, LabelClass
from tessella.errors import InputError

CLASSES = (
    LabelClass("road", (128, 64, 128)),
    LabelClass("sidewalk", (244, 35, 232)),
    LabelClass("building", (70, 70, 70)),
    LabelClass("wall", (102, 102, 156)),
    LabelClass("fence", (190, 153, 153)),
    LabelClass("pole", (153, 153, 153)),
    LabelClass("traffic light", (250, 170, 30)),
    LabelClass("traffic sign", (220, 220, 0)),
    LabelClass("vegetation", (107, 142, 35)),
    LabelClass("terrain", (152, 251, 152)),
    LabelClass("sky", (70, 130, 180)),
    LabelClass("person", (220, 20, 60)),
    LabelClass("rider", (255, 0, 0)),
    LabelClass("car", (0, 0, 142)),
    LabelClass("truck", (0, 0, 70)),
    LabelClass("bus", (0, 60, 100)),
    LabelClass("train", (0, 80, 100)),
    LabelClass("motorcycle", (0, 0, 230)),
    LabelClass("bicycle", (119, 11, 32)),
)

# The ids of the 19 classes among the 34 ids (0 to 33) of *_labelIds.png, in the order of CLASSES.
IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
INDEX_OF_ID = label_table(
    dict.fromkeys((*range(34), 255), IGNORE_INDEX) | {id_: i for i, id_ in enumerate(IDS)}
)
INDEX_OF_TRAIN_ID = label_table({i: i for i in range(len(CLASSES))} | {255: IGNORE_INDEX})

CAMVID_MEMBERS: dict[str, tuple[str, ...]] = {
    "sky": ("sky",),
    "building": ("building", "wall"),
    "pole": ("pole",),
    "road": ("road",),
    "pavement": ("sidewalk",),
    "tree": ("vegetation",),
    "sign": ("traffic light", "traffic sign"),
    "fence": ("fence",),
    "car": ("car", "truck", "bus", "train"),
    "pedestrian": ("person",),
    "bicyclist": ("rider", "motorcycle", "bicycle"),
}
"""Our merge: CamVid's 11 classes, as it groups its own 32; terrain, which it has not, is void."""

CAMVID_INDEX = label_table(
    dict.fromkeys((*range(len(CLASSES)), 255), IGNORE_INDEX)
    | {
        [label.name for label in CLASSES].index(member): place
        for place, label in enumerate(camvid.CLASSES)
        for member in CAMVID_MEMBERS[label.name]
    }
)


class Cityscapes(FileDataset):
    """``root/leftImg8bit/<split>/<city>/*_leftImg8bit.png``, labels in ``root/gtFine`` or ``root/gtCoarse``.

    labels: "fine" or "coarse"; by default coarse for train_extra, which has no other, and fine elsewhere.
    Read from ``*_labelIds.png``; where a split has none, from ``*_labelTrainIds.png``. The test split goes
    without labels where its folder is missing; the published one labels every pixel as void.
    classes: 19, or 11 for CamVid's labels (``CAMVID_MEMBERS``).
    neighbours: offsets in frames, such as (-2, 2), of video frames in ``root/leftImg8bit_sequence`` that come
    with each image; those beyond either end of a video are left out.
    depth: whether to read depth in metres from ``root/disparity`` and ``root/camera``.

    InputError: a folder or file is missing (``skip_orphans`` leaves images without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test", "train_extra")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        labels: Literal["fine", "coarse"] | None = None,
        classes: Literal[19, 11] = 19,
        neighbours: Sequence[int] = (),
        depth: bool = False,
        skip_orphans: bool = False,
    ) -> None:
        require_split("Cityscapes", split, self.splits)
        if classes not in (19, 11):
            raise InputError(f"classes: {classes} given; Cityscapes has 19, or 11 merged to CamVid's labels")
        if labels not in (None, "fine", "coarse"):
            raise InputError(f"labels: {labels!r} given; Cityscapes has 'fine' and 'coarse'")
        root = Path(root)
        images = find_images(root / "leftImg8bit" / split, "_leftImg8bit.png")
        kind = {"fine": "gtFine", "coarse": "gtCoarse"}[
            labels or ("coarse" if split == "train_extra" else "fine")
        ]
        index_of_id = INDEX_OF_ID
        orphans: list[str] = []
        if split == "test" and not (root / kind / split).is_dir():
            records = [Record(f"{split}/{key}", path) for key, path in images.items()]
        else:
            label_files, index_of_id = _find_labels(root / kind / split, kind)
            records, orphans = pair(f"{split}/", images, label_files, skip_orphans)
        if neighbours:
            frames = _video(root, split)
            records = with_neighbours(
                records, {_place(frame.id): frame for frame in frames}, _place, neighbours
            )
        if depth:
            records = with_depth(
                f"{split}/", records, find_depth(root / "disparity" / split, "_disparity.png")
            )
        if classes == 11:
            index_of_id = CAMVID_INDEX[index_of_id]
        super().__init__(camvid.CLASSES if classes == 11 else CLASSES, index_of_id, records, orphans)

    def read_depth(self, record: Record) -> np.ndarray | None:
        """Baseline times focal length over disparity; a stored d > 0 means (d - 1) / 256 pixels, 0 none."""
        if record.depth is None:
            return None
        stored = read_map(record.depth).astype(np.float32)
        disparity = (stored - 1) / 256
        depth = np.zeros_like(disparity)
        camera = _read_camera(record.depth, "extrinsic.baseline", "intrinsic.fx")
        np.divide(np.prod(camera), disparity, out=depth, where=disparity > 0)
        return depth

    def camera(self, record: Record, height: int, width: int) -> np.ndarray | None:
        """From the camera file that belongs to the depth."""
        if record.depth is None:
            return None
        fx, fy, u0, v0 = _read_camera(
            record.depth, *(f"intrinsic.{name}" for name in ("fx", "fy", "u0", "v0"))
        )
        return np.array([[fx, 0, u0], [0, fy, v0], [0, 0, 1]])


class CityscapesVideo(FileDataset):
    """Every frame of ``root/leftImg8bit_sequence/<split>``, unlabelled; ``neighbours`` as in Cityscapes."""

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, root: str | Path, split: str, *, neighbours: Sequence[int] = ()) -> None:
        require_split("CityscapesVideo", split, self.splits)
        records = _video(Path(root), split)
        if neighbours:
            records = with_neighbours(
                records, {_place(frame.id): frame for frame in records}, _place, neighbours
            )
        super().__init__(CLASSES, INDEX_OF_ID, records)


def _find_labels(folder: Path, kind: str) -> tuple[dict[str, Path], np.ndarray]:
    """The label maps of a split and the table for the ids that they hold."""
    try:
        return find_files(folder, f"_{kind}_labelIds.png"), INDEX_OF_ID
    except InputError as no_label_ids:
        try:
            return find_files(folder, f"_{kind}_labelTrainIds.png"), INDEX_OF_TRAIN_ID
        except InputError:
            raise no_label_ids from None


def _video(root: Path, split: str) -> list[Record]:
    frames = find_images(root / "leftImg8bit_sequence" / split, "_leftImg8bit.png")
    return [Record(f"{split}/{key}", path) for key, path in frames.items()]


def _place(id_: str) -> tuple[str, int]:
    """A frame's video and number: ``train/aachen/aachen_000004_000019`` is frame 19 of aachen_000004."""
    video, _, number = id_.rpartition("_")
    if not number.isdecimal():
        raise InputError(f"{id_}_leftImg8bit.png: name it <city>_<sequence>_<frame>_leftImg8bit.png")
    return video, int(number)


def _read_camera(disparity: Path, *names: str) -> list[float]:
    """The named numbers, such as ``intrinsic.fx``, from the camera file that belongs to a disparity map."""
    split = disparity.parent.parent
    name = disparity.name.replace("_disparity.png", "_camera.json")
    path = split.parent.parent / "camera" / split.name / disparity.parent.name / name
    try:
        camera = json.loads(path.read_text())
        return [float(camera[part][key]) for part, _, key in (name.partition(".") for name in names)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: holds no {' and '.join(names)}; depth needs the camera files") from error
