"""Segments images and videos into files."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from tessella.datasets import LabelClass
from tessella.datasets.files import IMAGE_ENDINGS, read_channels
from tessella.errors import InputError
from tessella.inference import is_video, read_video
from tessella.pictures import default_palette, overlay, save_label_png, to_rgb8
from tessella.runs.evaluation import BlackBox, palette_of

LARGE_IMAGE_PIXELS = 4_000_000


class Picture(NamedTuple):
    """An image to segment: its name (a path without ending, relative to the input) and how to read it."""

    name: str
    read: Callable[[], np.ndarray]


def predict(
    model: BlackBox,
    pictures: Iterable[Picture],
    out: Path,
    *,
    classes: tuple[LabelClass, ...] | None,
    device: torch.device,
    posteriors: bool = False,
) -> int:
    """Write ``labels/NAME.png`` (palette PNG of class ids), ``overlays/NAME.jpg`` and, if asked, ``posteriors/NAME.npz``.

    Returns the number of pictures.
    """
    number = 0
    for number, picture in enumerate(pictures, start=1):
        image = picture.read()
        scores = model(_to_batch(image).to(device))[0]
        labels = scores.argmax(0).to("cpu", torch.uint8).numpy()
        palette = default_palette(len(scores)) if classes is None else palette_of(classes)
        label_file = _file(out / "labels", picture.name, ".png")
        save_label_png(label_file, labels, palette)
        _write_jpeg(_file(out / "overlays", picture.name, ".jpg"), overlay(to_rgb8(image), labels, palette))
        if posteriors:
            _write_posteriors(_file(out / "posteriors", picture.name, ".npz"), scores)
    return number


def find_pictures(inputs: Iterable[Path]) -> list[Picture] | Iterator[Picture]:
    """The pictures that ``inputs`` name: image files, all images below folders, all frames of videos.

    Raises:
        InputError: an input does not exist, or a folder holds no image.
    """
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path} does not exist: give images, folders of images, or videos")
    return _pictures(list(inputs))


def _pictures(inputs: list[Path]) -> Iterator[Picture]:
    for path in inputs:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_ENDINGS)
            if not files:
                raise InputError(f"{path} holds no image ({', '.join(IMAGE_ENDINGS)})")
            for file in files:
                yield _of_file(file, str(file.relative_to(path).with_suffix("")))
        elif is_video(path):
            for number, frame in enumerate(read_video(path)):
                yield Picture(f"{path.stem}/{number:06d}", lambda frame=frame: frame)
        else:
            yield _of_file(path, path.stem)


def _of_file(file: Path, name: str) -> Picture:
    return Picture(name, lambda: read_channels(file))


def _to_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def _file(folder: Path, name: str, ending: str) -> Path:
    path = folder / (name + ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    good, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert good
    part = path.with_name(path.name + ".part")
    part.write_bytes(code.tobytes())
    os.replace(part, path)


def _write_posteriors(path: Path, scores: Tensor) -> None:
    part = path.with_name(path.stem + ".part.npz")
    np.savez_compressed(part, posteriors=scores.to("cpu", torch.float16).numpy())
    os.replace(part, path)
