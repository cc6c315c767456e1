"""A sequence of samples that are read when they are asked for, each time anew."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

from tessella.datasets.sample import Sample

Item = TypeVar("Item")


class Lazy(Sequence[Sample], Generic[Item]):
    """``read(item)`` of each item; can be pickled if both can."""

    def __init__(self, items: Sequence[Item], read: Callable[[Item], Sample]) -> None:
        self.items, self.read = items, read

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> "Lazy[Item]": ...

    def __getitem__(self, index: int | slice) -> "Sample | Lazy[Item]":
        if isinstance(index, slice):
            return Lazy(self.items[index], self.read)
        return self.read(self.items[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(self.read, self.items)
