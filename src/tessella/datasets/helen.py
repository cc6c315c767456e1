"""Helen faces cropped by their 68 landmarks (Le et al., ECCV 2012; landmarks of 300-W, ICCV workshops 2013)."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.file_dataset import require_split
from tessella.datasets.files import find_images, read_image
from tessella.datasets.landmarks import MIRRORED_68, landmark_pair, mirrored_face, read_face
from tessella.datasets.paired_files import PairedFiles, PairFiles, pair_files, require_size
from tessella.datasets.pairs import Pair

FIRST_PIXEL = 0.5
"""The .pts files count from the left and upper edge of the crop, not from 1 as those of 300-W: across, the middle of
every box of landmarks is at 64.00, that of 128 pixels."""


class HelenFaces(PairedFiles):
    """Landmarks to faces: ``root/trainset/NAME.jpg`` with ``NAME.pts`` beside it, likewise testset.

    size: height and width of the images. sigma: of the heat maps in pixels, 0 for one pixel a landmark.

    InputError: a folder or .pts file is missing (``skip_orphans`` leaves images without landmarks out).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    first_pixel: ClassVar[float] = FIRST_PIXEL

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        size: int = 128,
        sigma: float = 0.0,
        skip_orphans: bool = False,
    ) -> None:
        require_split("HelenFaces", split, self.splits)
        require_size(size)
        self.size, self.sigma = size, sigma
        images = find_images(Path(root) / f"{split}set", (".jpg", ".png"))
        landmarks = {key: path.with_suffix(".pts") for key, path in images.items()}
        records, orphans = pair_files(f"{split}/", images, landmarks, skip_orphans)
        super().__init__(records, len(MIRRORED_68), orphans)

    def read(self, record: PairFiles) -> Pair:
        assert record.condition is not None
        landmarks = read_face(record.condition, FIRST_PIXEL)
        image = read_image(record.image)
        return landmark_pair(
            record.id, image, landmarks, (self.size, self.size), self.sigma, record.condition
        )

    def mirror(self, pair: Pair) -> Pair:
        return mirrored_face(pair)
