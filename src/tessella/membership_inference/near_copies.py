"""What an attacker does about noise that is drawn from the image: he asks about copies that hardly differ."""

from dataclasses import dataclass

import torch

from tessella.errors import InputError
from tessella.membership_inference.black_box import BlackBox, Images, Posteriors


@dataclass(frozen=True)
class Averaged:
    """The mean answer to an image and to ``copies`` - 1 others, in each of which one number is the next one.

    To a defence whose noise follows from a secret and the image each copy is another image, to the network all are
    one. It is no defence, and asks so many times.
    """

    black_box: BlackBox
    copies: int = 16

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise InputError(f"averaged: {self.copies} copies; give at least 1")

    def __call__(self, images: Images) -> Posteriors:
        answers = self.black_box(images)
        for number in range(1, self.copies):
            answers = answers + self.black_box(self._changed(images, number))
        return answers / self.copies

    def _changed(self, images: Images, number: int) -> Images:
        changed = images.clone(memory_format=torch.contiguous_format)
        numbers = changed.flatten(1)  # a view
        place = number * numbers.shape[1] // self.copies
        step = 1 / 255 if changed.is_floating_point() else 1
        value = numbers[:, place]
        numbers[:, place] = (value - step).where(value >= step, value + step)
        return changed
