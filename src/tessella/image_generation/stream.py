"""Conditions with their own image and with neighbours' images, as training takes them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from tessella.datasets.loading import planes
from tessella.datasets.pairs import Pair, PairedDataset, own_image
from tessella.image_generation.neighbours import Neighbours


class Example(NamedTuple):
    """condition: [H, W, C]. targets: images [H, W, 3], the condition's own first."""

    condition: np.ndarray
    targets: list[np.ndarray]


class Numbered(Dataset[tuple[int, Pair]]):
    """The items of a data set with their numbers."""

    def __init__(self, dataset: PairedDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, Pair]:
        return index, self.dataset[index]


class Draw:
    """From a numbered item to an ``Example``: neighbours drawn, and all of it mirrored with a chance of one half.

    mirror: a pair to its mirror image; None for none. neighbours: None for the condition's own image alone; images:
    those of all items then, since a step takes several of them beside one condition.
    """

    def __init__(
        self,
        mirror: Callable[[Pair], Pair] | None = None,
        neighbours: Neighbours | None = None,
        images: Sequence[np.ndarray] = (),
    ) -> None:
        self.mirror, self.neighbours, self.images = mirror, neighbours, images

    def __call__(self, item: tuple[int, Pair], random: np.random.Generator) -> Example:
        index, pair = item
        near = [] if self.neighbours is None else self.neighbours.draw(index, random)
        others = [self.images[other] for other in near]
        if self.mirror is not None and random.random() < 0.5:
            pair = self.mirror(pair)
            others = [image[:, ::-1] for image in others]
        return Example(pair.condition, [own_image(pair), *others])


def gather(examples: Sequence[Example]) -> dict[str, Any]:
    """A ``PairBatch``; of fewer targets than others have, the missing ones are black and not present."""
    most = max(len(example.targets) for example in examples)
    height, width = examples[0].targets[0].shape[:2]
    targets = torch.zeros(len(examples), most, 3, height, width, dtype=torch.uint8)
    present = torch.zeros(len(examples), most, dtype=torch.bool)
    for number, example in enumerate(examples):
        for place, image in enumerate(example.targets):
            targets[number, place] = planes(image)
            present[number, place] = True
    conditions = torch.stack([planes(example.condition) for example in examples])
    return {"condition": conditions, "targets": targets, "present": present}
