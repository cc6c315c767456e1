"""Synscapes: 25,000 rendered street images with Cityscapes' labels (Wrenninge and Unger, 2018)."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from tessella.datasets.cityscapes import CLASSES, INDEX_OF_ID
from tessella.datasets.file_dataset import FileDataset, Record, pair, require_split, with_depth
from tessella.datasets.files import find_files, find_images, read_exr


class Synscapes(FileDataset):
    """``root/img/rgb/<n>.png`` and ``root/img/class/<n>.png`` with Cityscapes' 34 ids; all in one split.

    depth: whether to read depth in metres, along the optical axis, from ``root/img/depth/<n>.exr``.

    InputError: a folder or file is missing (``skip_orphans`` leaves images without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("all",)

    def __init__(
        self, root: str | Path, split: str = "all", *, depth: bool = False, skip_orphans: bool = False
    ) -> None:
        require_split("Synscapes", split, self.splits)
        images = find_images(Path(root) / "img" / "rgb", ".png")
        labels = find_files(Path(root) / "img" / "class", ".png")
        records, orphans = pair(f"{split}/", images, labels, skip_orphans)
        if depth:
            records = with_depth(f"{split}/", records, find_files(Path(root) / "img" / "depth", ".exr"))
        super().__init__(CLASSES, INDEX_OF_ID, records, orphans)

    def read_depth(self, record: Record) -> np.ndarray | None:
        return None if record.depth is None else read_exr(record.depth)
