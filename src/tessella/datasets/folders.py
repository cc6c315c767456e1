"""Any pair of folders: images of 8 or 16 bit with any number of channels, and label PNGs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessella.datasets.colors import distinct_colors
from tessella.datasets.file_dataset import FileDataset, Record, pair
from tessella.datasets.files import IMAGE_ENDINGS, find_files, find_images, label_table, read_channels
from tessella.datasets.sample import IGNORE_INDEX, LabelClass
from tessella.errors import InputError


class Folders(FileDataset):
    """Images below one folder, label PNGs of the same names below another; None for pictures without labels.

    images: PNG, JPEG, TIFF or .npy, [H, W, C] uint8 or uint16.
    classes: names (colours are then made up), ``LabelClass``es, or how many classes there are.
    ignore_index: the id in the files that does not count; 255 never counts.
    image_suffix, label_suffix: what follows the common part of a name, before the ending: "" and "_mask"
    match ``a.jpg`` with ``a_mask.png``.
    prefix: put before a file's name to make the id, e.g. ``"train/"``.

    InputError: an image without labels, unless ``skip_orphans`` leaves it out; a missing or empty folder.
    """

    def __init__(
        self,
        images: str | Path,
        labels: str | Path | None,
        *,
        classes: int | Sequence[str | LabelClass],
        ignore_index: int = IGNORE_INDEX,
        image_suffix: str = "",
        label_suffix: str = "",
        skip_orphans: bool = False,
        prefix: str = "",
    ) -> None:
        names = [f"class {i}" for i in range(classes)] if isinstance(classes, int) else classes
        if not 1 <= len(names) <= 254:
            raise InputError(f"classes: {len(names)} given; give 1 to 254")
        if not 0 <= ignore_index <= 255:
            raise InputError(f"ignore_index: {ignore_index} is no 8 bit label; give 0 to 255")
        colors = distinct_colors(len(names))
        index_of_id = {i: i for i in range(len(names))} | {ignore_index: IGNORE_INDEX, 255: IGNORE_INDEX}
        image_files = find_images(Path(images), tuple(image_suffix + ending for ending in IMAGE_ENDINGS))
        orphans: list[str] = []
        if labels is None:
            records = [Record(prefix + key, path) for key, path in image_files.items()]
        else:
            label_files = find_files(Path(labels), label_suffix + ".png")
            own = set(label_files.values())  # they look like images where both share a folder
            image_files = {key: path for key, path in image_files.items() if path not in own}
            records, orphans = pair(prefix, image_files, label_files, skip_orphans)
        super().__init__(
            [
                name if isinstance(name, LabelClass) else LabelClass(name, color)
                for name, color in zip(names, colors, strict=True)
            ],
            label_table(index_of_id),
            records,
            orphans,
        )

    def read_image(self, record: Record) -> np.ndarray:
        return read_channels(record.image)
