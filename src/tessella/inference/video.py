"""Frames of videos and of folders of pictures, one after the other; and videos written from frames."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from tessella.errors import InputError
from tessella.inference.whole_image import Predict

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "FFV1"}
"""Codec per suffix, those that OpenCV's wheels can write everywhere; FFV1 is lossless."""


class Frame(NamedTuple):
    """name: file stem in a folder, six-digit number in a video; image: [H, W, 3] uint8 RGB."""

    name: str
    image: np.ndarray


class VideoReader:
    """Frames of a video file, or of a folder of pictures in natural order (``frame9`` before ``frame10``).

    Frames are read while iterating, and every iteration begins anew. ``frames_per_second`` is None for
    folders.

    Raises InputError where nothing is at the path, a file is no video, a picture cannot be read, or no frame
    is found.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.frames_per_second: float | None = None
        if self.path.is_dir():
            pictures = (p for p in self.path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
            self._pictures = sorted(pictures, key=lambda p: natural_order(p.name))
            if not self._pictures:
                suffixes = ", ".join(sorted(PICTURE_SUFFIXES))
                raise InputError(f"{self.path}: no pictures; give a folder of {suffixes}")
        elif self.path.is_file():
            video = self._open()
            self.frames_per_second = video.get(cv2.CAP_PROP_FPS) or None
            video.release()
        else:
            raise InputError(f"{self.path}: does not exist; give a video file or a folder of pictures")

    def __iter__(self) -> Iterator[Frame]:
        if self.path.is_dir():
            return (Frame(picture.stem, _read_picture(picture)) for picture in self._pictures)
        return self._video_frames()

    def _open(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self.path))
        if not video.isOpened():
            raise InputError(f"{self.path}: not a video that can be decoded; convert it to .mp4 or .avi")
        return video

    def _video_frames(self) -> Iterator[Frame]:
        video = self._open()
        try:
            index = 0
            while True:
                read, image = video.read()
                if not read:
                    break
                yield Frame(f"{index:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                index += 1
            if index == 0:
                raise InputError(
                    f"{self.path}: holds no frame that can be decoded; check or convert the file"
                )
        finally:
            video.release()


class VideoWriter:
    """Writes frames as a video; the suffix names the codec (``CODECS``).

    A context manager: the file appears under its name when the block ends without an error, and not at all
    otherwise. Codecs want even sides: an odd one is made even by repeating the last row or column.

    Raises InputError for an unknown suffix, a missing folder, frames of differing sizes, no frames, or a file
    that cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], frames_per_second: float = 25.0) -> None:
        self.path = Path(path)
        self.frames_per_second = frames_per_second
        if self.path.suffix.lower() not in CODECS:
            raise InputError(f"{self.path}: give a name that ends in one of {', '.join(CODECS)}")
        if not self.path.parent.is_dir():
            raise InputError(f"{self.path}: its folder does not exist; make it first")
        if not frames_per_second > 0:
            raise InputError(f"frames_per_second: {frames_per_second}; give a positive number")
        self._partial = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._video: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> "VideoWriter":
        return self

    def write(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Appends one RGB frame [H, W, 3] uint8."""
        height, width = image.shape[:2]
        if self._video is None:
            self._size = (height, width)
            self._video = self._open(height + height % 2, width + width % 2)
        if (height, width) != self._size:
            raise InputError(
                f"{self.path}: frame of {height}x{width} pixels after {self._size[0]}x{self._size[1]}; all "
                "frames of a video have one size"
            )
        even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        self._video.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.release()
        if kind is not None:
            self._partial.unlink(missing_ok=True)
        elif self._video is None:
            raise InputError(f"{self.path}: no frames to write")
        else:
            os.replace(self._partial, self.path)

    def _open(self, height: int, width: int) -> cv2.VideoWriter:
        codec = cv2.VideoWriter.fourcc(*CODECS[self.path.suffix.lower()])
        video = cv2.VideoWriter(str(self._partial), codec, self.frames_per_second, (width, height))
        if not video.isOpened():
            raise InputError(f"{self.path}: cannot be written; check the folder's rights and room")
        return video


def predict_frames(
    predict: Predict, frames: Iterable[Frame], prepare: Callable[[np.ndarray], Tensor]
) -> Iterator[tuple[Frame, Tensor]]:
    """Each frame with its posteriors [K, H, W]; ``prepare`` makes a float tensor [C, H, W] of its image."""
    for frame in frames:
        yield frame, predict(prepare(frame.image)[None])[0]


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sorting key under which numbers inside names count as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _read_picture(path: Path) -> np.ndarray:
    # Decoding from memory leaves the file's name to Python, which knows every encoding of names.
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{path}: not a picture that can be decoded; remove or replace it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
