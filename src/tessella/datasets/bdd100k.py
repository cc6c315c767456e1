"""BDD100K: 10,000 driving images with Cityscapes' 19 classes (Yu et al., CVPR 2020)."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.cityscapes import CLASSES, INDEX_OF_TRAIN_ID
from tessella.datasets.file_dataset import FileDataset, Record, pair, require_split
from tessella.datasets.files import find_files, find_images


class BDD100K(FileDataset):
    """``root/images/10k/<split>/*.jpg`` and ``root/labels/sem_seg/masks/<split>/*.png``; test has no labels.

    InputError: a folder or label map is missing (``skip_orphans`` leaves images without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, root: str | Path, split: str, *, skip_orphans: bool = False) -> None:
        require_split("BDD100K", split, self.splits)
        images = find_images(Path(root) / "images" / "10k" / split)
        orphans: list[str] = []
        if split == "test":
            records = [Record(f"{split}/{key}", path) for key, path in images.items()]
        else:
            labels = find_files(Path(root) / "labels" / "sem_seg" / "masks" / split, ".png")
            records, orphans = pair(f"{split}/", images, labels, skip_orphans)
        super().__init__(CLASSES, INDEX_OF_TRAIN_ID, records, orphans)
