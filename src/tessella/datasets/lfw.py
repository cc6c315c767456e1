"""Labeled Faces in the Wild, aligned by deep funneling (Huang et al. 2007, 2012), with landmarks."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.file_dataset import require_split
from tessella.datasets.files import MissingSplit, read_image
from tessella.datasets.landmarks import MIRRORED_68, landmark_pair, mirrored_face, read_face
from tessella.datasets.paired_files import PairedFiles, PairFiles, pair_files, require_size
from tessella.datasets.pairs import Pair
from tessella.datasets.resizing import Square
from tessella.errors import InputError

CROP_FACTOR = 1.3
"""Side of the crop by the longer side of the landmarks' box."""


class LFW(PairedFiles):
    """Landmarks to faces: ``lfw-deepfunneled/NAME/NAME_0001.jpg`` of those whom a list names, and their landmarks.

    The lists are those of view 1, ``peopleDevTrain.txt`` and ``peopleDevTest.txt``: the number of people in the first
    line, then a name, a tab and the number of images a line. LFW ships no landmarks: put the 68 of
    300-W, counted from 1 in pixels of the 250x250 image, into ``landmarks/NAME/NAME_0001.pts``.

    An image is the square around its landmarks' box, 1.3 times as large, black outside the photo, resized.

    size: height and width of the images. sigma: of the heat maps in pixels, 0 for one pixel a landmark.

    InputError: a list, an image or landmarks are missing (``skip_orphans`` leaves images without landmarks out).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        size: int = 128,
        sigma: float = 0.0,
        skip_orphans: bool = False,
    ) -> None:
        require_split("LFW", split, self.splits)
        require_size(size)
        self.size, self.sigma = size, sigma
        names = _read_names(Path(root) / f"peopleDev{split.capitalize()}.txt")
        images = {name: _path(Path(root) / "lfw-deepfunneled", name, ".jpg") for name in names}
        landmarks = {name: _path(Path(root) / "landmarks", name, ".pts") for name in names}
        missing = next((path for path in images.values() if not path.is_file()), None)
        if missing is not None:
            raise InputError(f"{missing}: is listed in peopleDev{split.capitalize()}.txt but missing; add it")
        records, orphans = pair_files(f"{split}/", images, landmarks, skip_orphans)
        super().__init__(records, len(MIRRORED_68), orphans)

    def read(self, record: PairFiles) -> Pair:
        assert record.condition is not None
        landmarks = read_face(record.condition)
        left, top = landmarks.min(axis=0) + 0.5
        right, bottom = landmarks.max(axis=0) + 0.5
        square = Square.around((left, top, right, bottom), CROP_FACTOR)
        image = square.cut(read_image(record.image))
        landmarks -= [square.left, square.top]
        return landmark_pair(
            record.id, image, landmarks, (self.size, self.size), self.sigma, record.condition
        )

    def mirror(self, pair: Pair) -> Pair:
        return mirrored_face(pair)


def _path(folder: Path, name: str, ending: str) -> Path:
    return folder / name.rpartition("_")[0] / f"{name}{ending}"


def _read_names(path: Path) -> list[str]:
    """``NAME_0001`` and so on of all images that a list of people stands for, sorted."""
    if not path.is_file():
        raise MissingSplit(f"{path}: is missing; add the list from LFW's page")
    lines = path.read_text().splitlines()
    try:
        people = {
            name: int(count) for name, count in (line.split("\t") for line in lines[1:] if line.strip())
        }
        is_whole = len(people) == int(lines[0]) > 0 and min(people.values()) > 0
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: is no list of people; write their number, then 'NAME<tab>IMAGES' a line"
        ) from error
    if not is_whole:
        raise InputError(
            f"{path}: names {len(people)} people, not {lines[0]}; replace it with an intact copy"
        )
    return sorted(f"{name}_{number + 1:04}" for name, count in people.items() for number in range(count))
