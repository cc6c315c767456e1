"""Heads of the Oxford-IIIT Pet data set (Parkhi, Vedaldi, Zisserman, Jawahar, CVPR 2012)."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from tessella.datasets.conditions import (
    NORMALS_MIRRORED,
    edge_map,
    one_hot,
    read_normals,
    require_condition,
    resized_normals,
)
from tessella.datasets.file_dataset import require_same_size, require_split
from tessella.datasets.files import find_files, label_table, read_image, read_labels
from tessella.datasets.paired_files import PairedFiles, PairFiles, pair_files, require_size
from tessella.datasets.pairs import Pair, mirrored, paired
from tessella.datasets.resizing import Square, resized, resized_labels
from tessella.errors import InputError

CONDITIONS = ("edges", "normals", "trimap")
BACKGROUND = 1
"""Index of the trimap's class for what lies outside the picture."""
_INDEX_OF_ID = label_table({1: 0, 2: BACKGROUND, 3: 2})


class OxfordPetHeads(PairedFiles):
    """Something to heads: ``images/NAME.jpg`` cut to the box of ``annotations/xmls/NAME.xml``.

    Images without a box are none of it; of several boxes in one file the first counts. The crop is the square around
    the box, moved into the picture where it fits, black outside, resized to ``size``.

    Splits: boxes were released for the images of ``trainval.txt``, none (or next to none) of ``test.txt``, so
    these lists cannot part the heads. In the order of the names, every tenth head of a breed is test, the
    others are train.

    condition: ``normals`` are those of the crop, ``annotations/normals/NAME.png`` of any square size
    (red, green, blue = (n + 1) / 2 * 255; the data set has none, so a model must estimate them);
    ``trimap`` has a channel each for pet, background, border; ``edges`` are those of the crop (Canny).

    InputError: a folder, a box, or the file of a condition is missing.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(self, root: str | Path, split: str, *, size: int = 96, condition: str = "normals") -> None:
        require_split("OxfordPetHeads", split, self.splits)
        require_condition(condition, CONDITIONS)
        require_size(size)
        self.size, self.condition = size, condition
        annotations = Path(root) / "annotations"
        images = find_files(Path(root) / "images", ".jpg")
        self.boxes = find_files(annotations / "xmls", ".xml")
        heads = {name: images[name] for name in names_of_split(split, self.boxes) if name in images}
        if not heads:
            raise InputError(
                f"{annotations / 'xmls'}: holds no box of a {split} image; add the files of all breeds"
            )
        if condition == "edges":
            records = [PairFiles(f"{split}/{name}", image, None) for name, image in heads.items()]
        else:
            folder = annotations / ("trimaps" if condition == "trimap" else "normals")
            records, _ = pair_files(f"{split}/", heads, {name: folder / f"{name}.png" for name in heads})
        super().__init__(records, 1 if condition == "edges" else 3)

    def read(self, record: PairFiles) -> Pair:
        picture, size = read_image(record.image), (self.size, self.size)
        box = read_box(self.boxes[record.image.stem])
        square = Square.around(box).moved_into(*picture.shape[:2])
        image = resized(square.cut(picture), size)
        if record.condition is None:
            condition = edge_map(image)
        elif self.condition == "trimap":
            labels = read_labels(record.condition, _INDEX_OF_ID)
            require_same_size(record.condition, labels, record.image, picture)
            condition = one_hot(resized_labels(square.cut(labels, BACKGROUND), size), 3)
        else:
            normals = read_normals(record.condition)
            if normals.shape[0] != normals.shape[1]:
                raise InputError(
                    f"{record.condition}: is {normals.shape[1]}x{normals.shape[0]}; give the normals of the square crop"
                )
            condition = resized_normals(normals, size)
        return paired(record.id, condition, image)

    def mirror(self, pair: Pair) -> Pair:
        return mirrored(pair, signs=NORMALS_MIRRORED if self.condition == "normals" else (1.0,))


def names_of_split(split: str, names: Iterable[str]) -> list[str]:
    """Those of the names, ``BREED_NUMBER``, that belong to a split: every tenth of a breed is test."""
    breeds = groupby(sorted(names, key=_breed_and_number), lambda name: _breed_and_number(name)[0])
    return sorted(
        name
        for _, breed in breeds
        for place, name in enumerate(breed, start=1)
        if (place % 10 == 0) == (split == "test")
    )


def _breed_and_number(name: str) -> tuple[str, int]:
    breed, _, number = name.rpartition("_")
    if not number.isdigit():
        raise InputError(
            f"{name}.xml: is not named BREED_NUMBER.xml as the boxes of the data set are; rename it"
        )
    return breed, int(number)


def read_box(path: Path) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the first box of a PASCAL VOC file, the left edge of the first pixel at 0."""
    try:
        box = ElementTree.parse(path).getroot().find("object/bndbox")
        corners = {} if box is None else {side.tag: float(side.text or "") for side in box}
        left, top, right, bottom = (corners[side] for side in ("xmin", "ymin", "xmax", "ymax"))
    except (ElementTree.ParseError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: holds no box of a head; replace it with an intact copy") from error
    if right < left or bottom < top:
        raise InputError(f"{path}: its box ends before it begins; replace it with an intact copy")
    return left - 1, top - 1, right, bottom  # the corner pixels belong to the box and count from 1
