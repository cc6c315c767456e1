"""A user's own images in folders by split, the layout to choose when there is none yet."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.folders import Folders
from tessella.errors import InputError


class SplitFolders(Folders):
    """``root/train/images/a.jpg`` with ``root/train/labels/a.png``, likewise val and test, and ``root/classes.txt``.

    images, labels: where these folders lie below the root; ``{split}`` stands for the split
    classes: a text file below the root with one class name a line, in the order of the ids in the label PNGs
    ignore_index: the id in the files that does not count; 255 never counts
    image_suffix, label_suffix: what follows the common part of a name, before the ending
    skip_orphans: leaves out images without labels

    Raises:
        InputError: a folder or classes.txt is missing or empty; an image without labels, unless left out.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        images: str = "{split}/images",
        labels: str = "{split}/labels",
        classes: str = "classes.txt",
        ignore_index: int = 255,
        image_suffix: str = "",
        label_suffix: str = "",
        skip_orphans: bool = False,
    ) -> None:
        root = Path(root)
        names_file = root / classes
        if not names_file.is_file():
            raise InputError(f"{names_file} is missing: write the names of the classes there, one a line")
        try:
            text = names_file.read_text("utf-8-sig")  # some editors of Windows begin files with a mark
        except UnicodeDecodeError as error:
            raise InputError(f"{names_file}: is not encoded in UTF-8; save it so") from error
        names = [line.strip() for line in text.splitlines() if line.strip()]
        super().__init__(
            root / images.format(split=split),
            root / labels.format(split=split),
            classes=names,
            ignore_index=ignore_index,
            image_suffix=image_suffix,
            label_suffix=label_suffix,
            skip_orphans=skip_orphans,
            prefix=f"{split}/",
        )
