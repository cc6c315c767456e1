"""A paired data set of files: what the readers of all such layouts share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tessella.datasets.pairs import Pair
from tessella.errors import InputError


@dataclass(frozen=True)
class PairFiles:
    """Where an image and its condition lie; None for a condition that is made of the image itself."""

    id: str
    image: Path
    condition: Path | None


class PairedFiles(ABC):
    """Lists the files at construction, reads lazily; a layout's class finds them and says how one pair is read.

    records, ids: the pairs, sorted by id. condition_channels: C of ``Pair.condition``.
    orphans: one line for each image that was left out for want of a condition.
    """

    splits: ClassVar[tuple[str, ...]]
    """The names that the second argument of the constructor may have."""

    def __init__(
        self, records: Sequence[PairFiles], condition_channels: int, orphans: Sequence[str] = ()
    ) -> None:
        self.records = tuple(records)
        self.condition_channels = condition_channels
        self.orphans = tuple(orphans)
        self.ids = tuple(record.id for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Pair:
        """Raises InputError where a file is missing or damaged, or holds what it must not."""
        return self.read(self.records[index])

    @abstractmethod
    def read(self, record: PairFiles) -> Pair:
        """What the record's files hold."""

    @abstractmethod
    def mirror(self, pair: Pair) -> Pair:
        """See ``PairedDataset``."""


def pair_files(
    prefix: str, images: Mapping[str, Path], conditions: Mapping[str, Path], skip_orphans: bool = False
) -> tuple[list[PairFiles], list[str]]:
    """The images whose condition exists, and a line for each other one.

    prefix: put before the key to make the id. conditions: where the condition of each key must lie.
    InputError: a condition does not exist, unless ``skip_orphans``; or none does.
    """
    records, orphans = [], []
    for key, image in images.items():
        if conditions[key].is_file():
            records.append(PairFiles(prefix + key, image, conditions[key]))
        else:
            orphans.append(f"{image}: has no condition; add {conditions[key]}, or leave the image out")
    if orphans and not (skip_orphans and records):
        raise InputError(orphans[0])
    return records, orphans


def require_size(size: int) -> None:
    """InputError where images cannot have this height and width."""
    if size < 1:
        raise InputError(f"size: is {size}; give the height and width of the images in pixels")
