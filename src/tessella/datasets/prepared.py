"""A video data set with what ``tessella data prepare`` made of it: HHA, and regions found again in other frames."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tessella.datasets.file_dataset import FileDataset, require_same_size
from tessella.datasets.files import read_image
from tessella.datasets.lazy import Lazy
from tessella.datasets.prepared_folder import PreparedFolder, read_arrays
from tessella.datasets.sample import Sample
from tessella.errors import InputError


class Prepared:
    """The samples of another data set with regions, and with HHA after the channels of their images.

    dataset: builds it from root and split, e.g. ``partial(NYUDv2Frames, classes=40, neighbours=range(-50, 51))``.
    folder: what was prepared; ``root/prepared`` if None.
    hha: whether images get its three channels.

    ``regions`` of a sample are its own, those of its neighbours say where these were found again. Neighbours are read
    when they are asked for. InputError: something was not prepared.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        dataset: Callable[..., FileDataset],
        folder: str | None = None,
        hha: bool = True,
    ) -> None:
        self.dataset = dataset(root, split)
        self.classes, self.ids = self.dataset.classes, self.dataset.ids
        self.folder = PreparedFolder(Path(root) / "prepared" if folder is None else Path(folder))
        self.hha = hha
        out = "" if folder is None else f" --out {folder}"
        self.command = f"tessella data prepare {type(self.dataset).__name__} {root}{out}"
        for id_ in self.ids:
            self._require(self.folder.correspondences(id_))
            if hha:
                self._require_hha(id_)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        """Raises InputError where a file is missing or damaged, or sizes differ."""
        sample = self.dataset[index]
        views = Lazy(sample.neighbours, partial(self._complete, target=sample.id))
        return replace(self._complete(sample, sample.id), neighbours=views)

    def _complete(self, frame: Sample, target: str) -> Sample:
        path = self.folder.correspondences(target)
        regions = np.ascontiguousarray(read_arrays(path, [frame.id])[0].transpose(1, 2, 0))
        image = frame.image
        require_same_size(path, regions, Path(frame.id), image)
        if self.hha:
            hha = read_image(self._require_hha(frame.id))
            require_same_size(self.folder.hha(frame.id), hha, Path(frame.id), image)
            image = np.concatenate([image, hha], axis=2)
        return replace(frame, image=image, regions=regions)

    def _require_hha(self, id_: str) -> Path:
        return self._require(self.folder.hha(id_), ", or give hha=False where there is no depth")

    def _require(self, path: Path, otherwise: str = "") -> Path:
        if not path.exists():
            raise InputError(f"{path}: is not prepared; run '{self.command}'{otherwise}")
        return path
