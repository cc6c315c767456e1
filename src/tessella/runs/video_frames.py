"""The frames of a sequence: a video, a folder of pictures, or a folder of colour and depth pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tessella.datasets.files import IMAGE_ENDINGS, read_image, read_map
from tessella.datasets.kinect import COLOR_CAMERA, camera_matrix
from tessella.datasets.nyudv2_frames import METRES_PER_UNIT
from tessella.errors import InputError
from tessella.inference import VideoReader
from tessella.inference.video import natural_order
from tessella.pooling.depth import fill_depth
from tessella.pooling.hha import hha

_COLOR = ("_color.png", "_color.jpg")


class VideoFrame(NamedTuple):
    """image: [H, W, 3] uint8 RGB. depth: [H, W] float32 in metres, holes filled; None where there is none.

    missing: [H, W], where depth was filled.
    """

    name: str
    image: np.ndarray
    depth: np.ndarray | None = None
    missing: np.ndarray | None = None

    def picture(self, channels: int) -> np.ndarray:
        """What a model of so many channels takes: the image, and for six of them HHA, as a Kinect's camera sees it."""
        if channels != 6:
            return self.image
        assert self.depth is not None
        camera = camera_matrix(COLOR_CAMERA, *self.depth.shape)
        return np.dstack([self.image, hha(self.depth, camera, self.missing)])


class FrameSequence:
    """Frames in order; every iteration reads them anew.

    path: a video; a folder of pictures in natural order; or a folder that holds ``*_color.png`` (or .jpg), which alone
    are its frames. With ``*_depth_filled.png`` beside them, 16 bit, 10 / 65535 m a unit, it ``has_depth``.

    Raises InputError where there is no frame, where only some have depth, and while reading where a file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name if path.is_dir() else path.stem
        self.frames_per_second = 25.0
        self.has_depth = False
        self._colors = _find_colors(path)
        if self._colors:
            missing = [file for file in map(_depth_of, self._colors) if not file.is_file()]
            self.has_depth = len(missing) < len(self._colors)
            if self.has_depth and missing:
                raise InputError(
                    f"{missing[0]}: does not exist, other frames have depth; add it or remove all depth"
                )
        elif path.is_file() and path.suffix.lower() in IMAGE_ENDINGS:
            raise InputError(f"{path}: a picture is no video; give a video or a folder of frames")
        else:
            self._reader = VideoReader(path)
            self.frames_per_second = self._reader.frames_per_second or self.frames_per_second

    def __iter__(self) -> Iterator[VideoFrame]:
        if not self._colors:
            return (VideoFrame(*frame) for frame in self._reader)
        return (_read(path, self.has_depth) for path in self._colors)


def _read(color: Path, with_depth: bool) -> VideoFrame:
    image = read_image(color)
    if not with_depth:
        return VideoFrame(_stem(color), image)
    units = read_map(_depth_of(color))
    if units.dtype != np.uint16 or not units.any():
        raise InputError(
            f"{_depth_of(color)}: {units.dtype} up to {units.max()}; store depth as 16 bit, 10 / 65535 m a unit"
        )
    if units.shape != image.shape[:2]:
        sizes = f"depth is {list(units.shape)}, the image {list(image.shape[:2])}"
        raise InputError(f"{_depth_of(color)}: {sizes}; give both one size")
    depth = units.astype(np.float32) * np.float32(METRES_PER_UNIT)
    return VideoFrame(_stem(color), image, fill_depth(depth), depth == 0)


def _find_colors(path: Path) -> list[Path]:
    files = path.iterdir() if path.is_dir() else ()
    found = (file for file in files if file.name.lower().endswith(_COLOR))
    return sorted(found, key=lambda file: natural_order(file.name))


def _stem(color: Path) -> str:
    return color.name[: -len("_color.png")]


def _depth_of(color: Path) -> Path:
    return color.with_name(_stem(color) + "_depth_filled.png")
