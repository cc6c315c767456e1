"""A user's own images and conditions in folders by split; the layout that rendered objects are written in."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.conditions import (
    NORMALS_MIRRORED,
    edge_map,
    one_hot,
    plain_labels,
    read_normals,
    require_condition,
    resized_normals,
)
from tessella.datasets.file_dataset import require_same_size
from tessella.datasets.files import find_images, read_image, read_labels, read_size
from tessella.datasets.landmarks import MIRRORED_68, landmark_pair, mirrored_face, read_pts
from tessella.datasets.paired_files import PairedFiles, PairFiles, pair_files, require_size
from tessella.datasets.pairs import Pair, mirrored, paired
from tessella.datasets.resizing import resized, resized_labels
from tessella.errors import InputError

CONDITIONS = ("edges", "labels", "landmarks", "normals")


class PairedFolders(PairedFiles):
    """Any pairs: ``root/SPLIT/images/NAME.png`` (or .jpg) and ``root/SPLIT/conditions/NAME.png`` (or .pts).

    condition: ``normals``, 8-bit PNG, red, green, blue = (n + 1) / 2 * 255, black or grey for none; ``labels``,
    PNG with ids 0 to ``classes`` - 1, 255 for none; ``landmarks``, .pts counted from 1 as in 300-W, the same
    number in all; ``edges`` of the image itself (Canny), without any file.
    size: height and width that images and conditions are resized to; None where all have one size already.
    sigma: of the heat maps of landmarks in pixels, 0 for one pixel a landmark.

    InputError: a folder is missing or empty, an image has no condition, sizes differ.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        condition: str,
        size: int | None = None,
        classes: int = 0,
        sigma: float = 0.0,
    ) -> None:
        require_condition(condition, CONDITIONS)
        if size is not None:
            require_size(size)
        self.condition, self.classes, self.sigma = condition, classes, sigma
        self.is_resized = size is not None
        images = find_images(Path(root) / split / "images", (".png", ".jpg", ".jpeg"))
        if condition == "edges":
            records = [PairFiles(f"{split}/{key}", path, None) for key, path in images.items()]
        else:
            folder, ending = Path(root) / split / "conditions", ".pts" if condition == "landmarks" else ".png"
            records, _ = pair_files(f"{split}/", images, {key: folder / f"{key}{ending}" for key in images})
        self.size = read_size(records[0].image) if size is None else (size, size)
        if condition == "labels":
            self.index_of_id = plain_labels(classes)
            channels = classes
        elif condition == "landmarks":
            assert records[0].condition is not None
            channels = len(read_pts(records[0].condition))
        else:
            channels = {"edges": 1, "normals": 3}[condition]
        super().__init__(records, channels)

    def read(self, record: PairFiles) -> Pair:
        picture = read_image(record.image)
        if not self.is_resized and picture.shape[:2] != self.size:
            raise InputError(
                f"{record.image}: is {picture.shape[1]}x{picture.shape[0]}, but {self.records[0].image.name} is "
                f"{self.size[1]}x{self.size[0]}; make all the same size or give size"
            )
        if self.condition == "landmarks":
            assert record.condition is not None
            landmarks = read_pts(record.condition)
            if len(landmarks) != self.condition_channels:
                raise InputError(
                    f"{record.condition}: holds {len(landmarks)} landmarks, the first file "
                    f"{self.condition_channels}; mark the same in all"
                )
            return landmark_pair(record.id, picture, landmarks, self.size, self.sigma, record.condition)
        image = resized(picture, self.size)
        if record.condition is None:
            return paired(record.id, edge_map(image), image)
        if self.condition == "labels":
            labels = read_labels(record.condition, self.index_of_id)
            require_same_size(record.condition, labels, record.image, picture)
            condition = one_hot(resized_labels(labels, self.size), self.classes)
        else:
            normals = read_normals(record.condition)
            require_same_size(record.condition, normals, record.image, picture)
            condition = resized_normals(normals, self.size)
        return paired(record.id, condition, image)

    def mirror(self, pair: Pair) -> Pair:
        """InputError for landmarks other than the 68 of 300-W: which of them are left and which right is not known."""
        if self.condition != "landmarks":
            return mirrored(pair, signs=NORMALS_MIRRORED if self.condition == "normals" else (1.0,))
        if self.condition_channels != len(MIRRORED_68):
            raise InputError(
                f"{self.condition_channels} landmarks: cannot be mirrored, only the {len(MIRRORED_68)} of 300-W can; "
                "train without mirroring"
            )
        return mirrored_face(pair)
