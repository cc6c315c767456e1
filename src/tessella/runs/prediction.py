"""Segments images into files."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tessella.datasets import LabelClass, Sample
from tessella.datasets.files import IMAGE_ENDINGS, as_rgb, read_channels, walk
from tessella.datasets.loading import planes
from tessella.datasets.transforms import Resize
from tessella.errors import InputError
from tessella.feature_synthesis import pseudo_labels
from tessella.files import jpeg, npz, write_bytes
from tessella.inference import (
    DenseCRF,
    Windows,
    label_map_of_large_image,
    most_probable,
    most_probable_enlarged,
)
from tessella.inference.video import natural_order
from tessella.pictures import default_palette, overlay, save_label_png, to_rgb8
from tessella.runs.evaluation import BlackBox, palette_of

LARGE_IMAGE_PIXELS = 4_000_000
"""Pictures of more pixels are segmented window by window, so that memory does not grow with them."""

LARGE_IMAGE_WINDOWS = Windows(1024, 1024)


class Picture(NamedTuple):
    """An image to segment; ``name`` is its path without ending, relative to the folder that was given."""

    name: str
    file: Path


@dataclass(frozen=True)
class Segmenter:
    """A model with the way its results are drawn.

    model: pictures [B, C, H, W] to posteriors. classes: their colours, made up where None. crf: refines the posteriors.
    resize: (height, width) that the model brings all pictures to; None for none. channels: that it takes; with 3, grey
    pictures and those with transparency are shown to it in RGB; None for any.
    """

    model: BlackBox
    classes: tuple[LabelClass, ...] | None
    device: torch.device
    crf: DenseCRF | None = None
    resize: tuple[int, int] | None = None
    channels: int | None = None

    def posteriors(self, image: np.ndarray) -> Tensor:
        """[H, W, C] picture to posteriors [K, H, W]."""
        scores = self.model(self._tensor(image)[None])[0]
        return scores if self.crf is None else self.crf(scores, to_rgb8(image))

    def labels(self, image: np.ndarray) -> np.ndarray:
        """[H, W, C] picture to class ids [H, W] uint8; pictures of any size in bounded memory."""
        if image.shape[0] * image.shape[1] <= LARGE_IMAGE_PIXELS:
            return most_probable(self.posteriors(image))
        if self.crf is not None:
            raise InputError(
                "--crf holds all posteriors of a picture in memory: "
                f"{image.shape[1]}x{image.shape[0]} is too large for it"
            )
        if self.resize is not None:  # the whole picture, as in training: not each window
            small = Resize(self.resize)(Sample("", image), np.random.default_rng(0)).image
            scores = self.model(self._tensor(small)[None])[0]
            return most_probable_enlarged(scores, (image.shape[0], image.shape[1]))
        return label_map_of_large_image(self.model, image, self._tensor, LARGE_IMAGE_WINDOWS)

    def palette(self, labels: np.ndarray) -> np.ndarray:
        """[K, 3] uint8 colours."""
        return default_palette(int(labels.max()) + 1) if self.classes is None else palette_of(self.classes)

    def _tensor(self, image: np.ndarray) -> Tensor:
        return planes(as_rgb(image) if self.channels == 3 else image).to(self.device)


def predict_pictures(
    segmenter: Segmenter,
    pictures: Iterable[Picture],
    out: Path,
    *,
    posteriors: bool = False,
    sure: float | None = None,
) -> None:
    """Write ``labels/NAME.png`` (palette PNG of class ids) and ``overlays/NAME.jpg`` for each picture.

    posteriors: also write ``posteriors/NAME.npz``, [K, H, W] float16. sure: labels are ``pseudo_labels`` above that
    posterior. Raises InputError where it is none.
    """
    for picture in pictures:
        image = read_channels(picture.file)
        if posteriors or sure is not None:
            scores = segmenter.posteriors(image)
            labels = most_probable(scores)
        else:
            labels = segmenter.labels(image)
        if sure is not None:
            labels = pseudo_labels(scores.cpu().numpy(), sure)
        if posteriors:
            write_posteriors(out / "posteriors" / f"{picture.name}.npz", scores)
        palette = segmenter.palette(labels)
        save_label_png(out / "labels" / f"{picture.name}.png", labels, palette)
        drawn = overlay(to_rgb8(image), labels, palette)
        write_bytes(out / "overlays" / f"{picture.name}.jpg", jpeg(drawn))


def find_pictures(inputs: Iterable[Path], out: Path | None = None) -> list[Picture]:
    """The pictures that ``inputs`` name: image files, and all images below folders, in natural order.

    out: where results go; those that an earlier call left there are no pictures.

    Raises:
        InputError: an input does not exist, a folder holds no image, or two images have one name.
    """
    found = []
    results = (
        [] if out is None else [out, *(out / name for name in ("labels", "overlays", "posteriors", "steady"))]
    )
    for path in inputs:
        if path.is_dir():
            files = [file for file in map(Path, walk(path, results)) if file.suffix.lower() in IMAGE_ENDINGS]
            if not files:
                raise InputError(f"{path} holds no image ({', '.join(IMAGE_ENDINGS)})")
            ordered = sorted(files, key=lambda file: natural_order(str(file)))
            found += [Picture(str(file.relative_to(path).with_suffix("")), file) for file in ordered]
        elif path.is_file():
            found.append(Picture(path.stem, path))
        else:
            raise InputError(f"{path} does not exist: give images, folders of images, or videos")
    require_distinct(picture.name for picture in found)
    return found


def require_distinct(names: Iterable[str]) -> None:
    """InputError where results of two inputs would be written to the same file."""
    for name, count in Counter(names).most_common(1):
        if count > 1:
            raise InputError(
                f"{count} inputs are named {name}, as their results would be: rename all but one"
            )


def write_posteriors(path: Path, scores: Tensor) -> None:
    """[K, H, W], as float16."""
    write_bytes(path, npz([("posteriors", scores.to("cpu", torch.float16).numpy())]))
