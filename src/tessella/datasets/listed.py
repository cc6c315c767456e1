"""The images of a data set that a text file lists: splits of one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tessella.datasets.joined import joined_by_name
from tessella.datasets.sample import Sample, SegmentationDataset
from tessella.errors import InputError


class Listed:
    """A split is the file ``lists/<split>.txt``, an id of the other data set a line, whatever split that has it in.

    dataset: the class of the other data set, with its arguments but root and split.
    of_splits: those of its splits that ids are looked for in.

    InputError: a list is missing or empty, names an id twice or one that there is not.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        dataset: Callable[..., SegmentationDataset],
        lists: str,
        of_splits: Sequence[str] = ("train", "val", "test"),
    ) -> None:
        path = Path(lists) / f"{split}.txt"
        if not path.is_file():
            known = sorted(file.stem for file in Path(lists).glob("*.txt"))
            raise InputError(f"{path}: is missing; splits there are {', '.join(known) or 'none'}")
        self.ids = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise InputError(f"{path}: lists {'an image twice' if self.ids else 'no image'}; mend it")
        self.joined = joined_by_name([dataset(root, name) for name in of_splits])
        self.classes = self.joined.classes
        places = {id_: place for place, id_ in enumerate(self.joined.ids)}
        missing = [id_ for id_ in self.ids if id_ not in places]
        if missing:
            raise InputError(f"{path}: lists {missing[0]}, which is not in {', '.join(of_splits)} of {root}")
        self._places = [places[id_] for id_ in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        return self.joined[self._places[index]]
