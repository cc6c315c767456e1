"""NYUDv2: 1,449 labelled RGB-D frames of 464 indoor videos (Silberman et al., ECCV 2012)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tessella.datasets.file_dataset import Record, require_split
from tessella.datasets.files import map_labels, read_channels, read_image
from tessella.datasets.kinect import KinectFiles, depth_from_color_camera, undistort_color
from tessella.datasets.nyudv2_classes import CLASSES, index_of_id40
from tessella.errors import InputError


class NYUDv2(KinectFiles):
    """``nyu_depth_v2_labeled.mat``, ``splits.mat`` (795 train, 654 test) and ``classMapping40.mat`` in root.

    classes: 40, 13 or 4, merged as in ``nyudv2_classes``.
    depth: whether to read the filled depth in metres.
    neighbours: offsets in frames of raw video, ``root/raw/<scene>/r-*.ppm``, that come with each image,
    without lens distortion. With ``depth``, each has the depth ``d-*.pgm`` nearest in time, seen from the
    colour camera. Frames beyond either end of a video are left out.

    Needs h5py. InputError: a file is missing, damaged or none of NYUDv2's.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        classes: Literal[40, 13, 4] = 13,
        depth: bool = False,
        neighbours: Sequence[int] = (),
    ) -> None:
        require_split("NYUDv2", split, self.splits)
        require_classes(classes)
        root = Path(root)
        self.path = root / "nyu_depth_v2_labeled.mat"
        self.id40_of_name = np.concatenate([[0], _read_mat(root / "classMapping40.mat", "mapClass")]).astype(
            np.uint8
        )
        numbers = sorted(_read_mat(root / "splits.mat", f"{split}Ndxs").tolist())
        near: list[tuple[tuple[Record, ...], int]] = [((), 0)] * len(numbers)
        with _open(self.path) as file:
            if numbers[0] < 1 or numbers[-1] > file["images"].shape[0]:
                raise InputError(
                    f"{root / 'splits.mat'}: names images that {self.path.name} lacks; use its own"
                )
            if neighbours:
                names = [_text(file, file["rawRgbFilenames"][0, number - 1]) for number in numbers]
                near = _find_neighbours(root / "raw", names, split, neighbours, depth)
        records = [
            Record(
                f"{split}/{number:04}", self.path, self.path, self.path if depth else None, frames, earlier
            )
            for number, (frames, earlier) in zip(numbers, near, strict=True)
        ]
        super().__init__(CLASSES[classes], index_of_id40(classes), records)

    def read_image(self, record: Record) -> np.ndarray:
        if record.image != self.path:
            return undistort_color(read_image(record.image))
        return np.ascontiguousarray(self._read("images", record).transpose(2, 1, 0))

    def read_labels(self, record: Record) -> np.ndarray | None:
        ids = self._read("labels", record).T
        if ids.max() >= len(self.id40_of_name):
            raise InputError(
                f"{self.path}: image {record.id} has label {ids.max()}; replace classMapping40.mat"
            )
        return map_labels(self.id40_of_name[ids], self.index_of_id, self.path)

    def read_depth(self, record: Record) -> np.ndarray | None:
        if record.depth is None:
            return None
        if record.depth != self.path:
            return depth_from_color_camera(read_channels(record.depth)[:, :, 0].byteswap())
        return np.ascontiguousarray(self._read("depths", record).T, np.float32)

    def read_guessed(self, record: Record) -> np.ndarray | None:
        if record.depth != self.path:
            return None
        with _open(self.path) as file:
            if "rawDepths" not in file:
                return None
        return self._read("rawDepths", record).T == 0

    def _read(self, name: str, record: Record) -> np.ndarray:
        with _open(
            self.path
        ) as file:  # opened for each access: a handle survives neither pickling nor forking
            try:
                return file[name][int(record.id.rpartition("/")[2]) - 1]
            except (OSError, KeyError) as error:
                raise InputError(
                    f"{self.path}: is damaged at {name} of {record.id}; replace it with an intact copy"
                ) from error


def require_classes(classes: int) -> None:
    """InputError unless NYUDv2 is labelled with so many classes."""
    if classes not in CLASSES:
        raise InputError(f"classes: {classes} given; NYUDv2 has 40, 13 or 4")


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise InputError("h5py: NYUDv2 needs it; run 'pip install tessella[nyudv2]'") from error
    try:
        file = h5py.File(path)
    except OSError as error:
        raise InputError(f"{path}: is missing or damaged; put NYUDv2's labelled data set there") from error
    absent = {"images", "labels", "depths", "rawRgbFilenames"}.difference(file)
    if absent:
        file.close()
        raise InputError(f"{path}: has no {min(absent)}; put NYUDv2's labelled data set there")
    return file


def _read_mat(path: Path, name: str) -> np.ndarray:
    from scipy.io import loadmat  # slow to import, and only NYUDv2 needs it

    try:
        values = loadmat(path)[name].ravel()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: is missing, damaged or lacks {name}; put NYUDv2's file of that name there"
        ) from error
    if values.size == 0:
        raise InputError(f"{path}: {name} is empty; put NYUDv2's file of that name there")
    return values


def _text(file: Any, reference: Any) -> str:
    return "".join(map(chr, np.ravel(file[reference])))


def _find_neighbours(
    raw: Path, names: Sequence[str], split: str, offsets: Sequence[int], depth: bool
) -> list[tuple[tuple[Record, ...], int]]:
    """The raw frames around each labelled one, and how many of them come before it.

    names: of the labelled frames, like ``kitchen_0004/r-1294888937.3-307.ppm``.
    """
    videos: dict[str, list[Record]] = {}
    found = []
    for name in names:
        scene = name.rpartition("/")[0]
        if scene not in videos:
            videos[scene] = _list_video(raw, scene, split, depth)
        video = videos[scene]
        here = next((i for i, frame in enumerate(video) if frame.image == raw / name), None)
        if here is None:
            raise InputError(f"{raw / name}: no such frame; put NYUDv2's raw videos there")
        places = [here + offset for offset in sorted(set(offsets) - {0}) if 0 <= here + offset < len(video)]
        found.append((tuple(video[place] for place in places), sum(place < here for place in places)))
    return found


def _list_video(raw: Path, scene: str, split: str, depth: bool) -> list[Record]:
    """The frames of a scene in temporal order, each with the depth frame nearest in time if asked for."""
    images = sorted((raw / scene).glob("r-*.ppm"), key=_seconds)
    depths = sorted((raw / scene).glob("d-*.pgm"), key=_seconds)
    if depth and not depths:
        raise InputError(f"{raw / scene}: holds no d-*.pgm; put NYUDv2's raw videos there")
    times = np.array([_seconds(path) for path in depths])
    return [
        Record(
            f"{split}/{scene}/{path.stem}",
            path,
            depth=depths[int(np.abs(times - _seconds(path)).argmin())] if depth else None,
        )
        for path in images
    ]


def _seconds(path: Path) -> float:
    """``r-1294888937.3-307.ppm`` was taken at second 1294888937.3."""
    try:
        return float(path.name.split("-")[1])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: name it <kind>-<seconds>-<ticks>{path.suffix}, as NYUDv2 does") from error
