"""Mapillary Vistas: street scenes of the whole world in 65 classes (Neuhold et al., ICCV 2017)."""

import json
from pathlib import Path
from typing import ClassVar, Literal

from tessella.datasets import cityscapes
from tessella.datasets.file_dataset import FileDataset, Record, pair, require_split
from tessella.datasets.files import find_files, find_images, label_table
from tessella.datasets.sample import IGNORE_INDEX, LabelClass
from tessella.errors import InputError

CITYSCAPES_MEMBERS: dict[str, tuple[str, ...]] = {
    "road": ("Road", "Lane Marking - Crosswalk", "Lane Marking - General"),
    "sidewalk": ("Sidewalk", "Curb"),
    "building": ("Building",),
    "wall": ("Wall",),
    "fence": ("Fence",),
    "pole": ("Pole", "Utility Pole"),
    "traffic light": ("Traffic Light",),
    "traffic sign": ("Traffic Sign (Front)",),
    "vegetation": ("Vegetation",),
    "terrain": ("Terrain",),
    "sky": ("Sky",),
    "person": ("Person",),
    "rider": ("Bicyclist", "Motorcyclist", "Other Rider"),
    "car": ("Car",),
    "truck": ("Truck",),
    "bus": ("Bus",),
    "train": ("On Rails",),
    "motorcycle": ("Motorcycle",),
    "bicycle": ("Bicycle",),
}
"""Our merge: 25 classes of Mapillary Vistas that Cityscapes' 19 cover by definition; the rest is void."""


class MapillaryVistas(FileDataset):
    """``root/<split>/images/*.jpg`` and ``root/<split>/v1.2/labels/*.png`` with ``root/config_v1.2.json``.

    Older archives have ``root/<split>/labels`` and ``root/config.json`` instead. Names and colours come from
    that file; its classes that are not evaluated ("Unlabeled") do not count. Testing has no labels.
    classes: 65, or 19 for Cityscapes' labels (``CITYSCAPES_MEMBERS``).

    InputError: a folder, label map or the configuration is missing or broken (``skip_orphans`` leaves images
    without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("training", "validation", "testing")

    def __init__(
        self, root: str | Path, split: str, *, classes: Literal[65, 19] = 65, skip_orphans: bool = False
    ) -> None:
        require_split("MapillaryVistas", split, self.splits)
        if classes not in (65, 19):
            raise InputError(
                f"classes: {classes} given; Mapillary Vistas has 65, or 19 merged to Cityscapes' labels"
            )
        root = Path(root)
        images = find_images(root / split / "images")
        is_versioned = (root / "config_v1.2.json").is_file()
        config = _read_config(root / ("config_v1.2.json" if is_versioned else "config.json"))
        evaluated = [label for label, counts in config if counts]
        if classes == 65:
            index_of_name = {label.name: i for i, label in enumerate(evaluated)}
        else:
            index_of_name = {
                name: i
                for i, label in enumerate(cityscapes.CLASSES)
                for name in CITYSCAPES_MEMBERS[label.name]
            }
        table = {id_: index_of_name.get(label.name, IGNORE_INDEX) for id_, (label, _) in enumerate(config)}
        orphans: list[str] = []
        if split == "testing":
            records = [Record(f"{split}/{key}", path) for key, path in images.items()]
        else:
            labels = find_files(root / split / ("v1.2/labels" if is_versioned else "labels"), ".png")
            records, orphans = pair(f"{split}/", images, labels, skip_orphans)
        super().__init__(
            evaluated if classes == 65 else cityscapes.CLASSES, label_table(table), records, orphans
        )


def _read_config(path: Path) -> list[tuple[LabelClass, bool]]:
    """Each label id's class, and whether it counts."""
    try:
        rows = json.loads(path.read_text())["labels"]
        labels = [
            (
                LabelClass(row["readable"], (row["color"][0], row["color"][1], row["color"][2])),
                row["evaluate"],
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}: lists no labels; copy the file that comes with Mapillary Vistas here"
        ) from error
    if sum(counts for _, counts in labels) != 65:
        raise InputError(
            f"{path}: {len(labels)} labels are not those of version 1.2; give that version's file"
        )
    return labels
