"""Conditions alone, as files: what images are to be made of."""

from pathlib import Path

import numpy as np

from tessella.datasets.conditions import heat_maps, one_hot, plain_labels, read_normals, resized_normals
from tessella.datasets.files import read_labels
from tessella.datasets.landmarks import read_pts
from tessella.datasets.pairs import Pair, paired
from tessella.datasets.resizing import resized_labels
from tessella.errors import InputError

ENDINGS = {"labels": ".png", "landmarks": ".pts", "normals": ".png"}


class ConditionFiles:
    """A file, or all of a folder, in the forms of ``PairedFolders``; pairs have no image.

    condition: ``normals``, ``labels`` or ``landmarks``. size: height and width of the images to be made; None for the
    size of each file, which landmarks do not have. Landmarks are in pixels of such an image. classes, sigma: as
    ``PairedFolders``. first: as ``read_pts``.

    InputError: nothing to read; a condition of which there are no files; landmarks without a size.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        condition: str,
        size: int | None = None,
        classes: int = 0,
        sigma: float = 0.0,
        first: float = 1.0,
    ) -> None:
        if condition == "edges":
            raise InputError(
                f"{path}: {condition} are made of images; give a split of the data set as PATH:SPLIT"
            )
        if condition not in ENDINGS:
            raise InputError(
                f"{path}: there are no files of {condition} alone; give a split of the data set as PATH:SPLIT"
            )
        if condition == "landmarks" and size is None:
            raise InputError(
                f"{path}: landmarks alone do not say how large an image is; train with dataset.size"
            )
        path = Path(path)
        files = [path] if path.is_file() else sorted(path.glob(f"*{ENDINGS[condition]}"))
        if not files:
            raise InputError(
                f"{path}: holds no {ENDINGS[condition]} files of conditions; give such files, or a split of the data "
                "set as PATH:SPLIT"
            )
        self.files = files
        self.condition, self.sigma, self.classes, self.first = condition, sigma, classes, first
        self.size = None if size is None else (size, size)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        path = self.files[index]
        if self.condition == "landmarks":
            assert self.size is not None
            landmarks = read_pts(path, self.first)
            maps = heat_maps(landmarks, self.size, sigma=self.sigma, path=path)
            return paired(path.stem, maps, None, landmarks)
        return paired(path.stem, self._map(path), None)

    def _map(self, path: Path) -> np.ndarray:
        if self.condition == "labels":
            labels = read_labels(path, plain_labels(self.classes))
            return one_hot(resized_labels(labels, self.size or labels.shape), self.classes)
        normals = read_normals(path)
        return resized_normals(normals, self.size or normals.shape[:2])
