"""What an attack may know of its victim: posteriors for images, and nothing else."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from tessella.errors import InputError
from tessella.networks.label_maps import posteriors_of_labels

Images = UInt8[Tensor, "batch channels height width"]
Posteriors = Float[Tensor, "batch classes height width"]
LabelMaps = Integer[Tensor, "batch height width"] | Integer[Tensor, "batch 1 height width"]
BlackBox = Callable[[Images], Posteriors]
"""A local network, a file, a server or a defended model: pictures as they are on disk to posteriors."""

TOLERANCE = 1e-2
"""How far posteriors may be from a sum of 1: those in bfloat16 are off by 2^-9 of themselves, and so is their sum."""


def checked(black_box: Callable[[Images], Posteriors | LabelMaps], classes: int) -> BlackBox:
    """The same black box, whose answers are looked at before they are used.

    Of one that gives label maps the posteriors are 0 and 1.

    Raises InputError, when called, for answers that are neither label maps nor posteriors of so many classes at the
    images' resolution.
    """

    def ask(images: Images) -> Posteriors:
        answer = black_box(images)
        if _are_labels(answer):
            return posteriors_of_labels(_fitting(answer, images), classes, "the model's answer")
        problem = what_is_wrong(answer, images, classes)
        if problem:
            raise InputError(f"the model's answer is no map of posteriors: {problem}")
        return answer

    return ask


def _fitting(labels: LabelMaps, images: Images) -> Integer[Tensor, "batch height width"]:
    """InputError for another size."""
    size = [len(images), *images.shape[2:]]
    if list(labels.shape) not in (size, [size[0], 1, *size[1:]]):
        raise InputError(
            f"the model's answer is {labels.dtype} {list(labels.shape)}; label maps {size} are needed"
        )
    return labels.reshape(size)


def _are_labels(answer: Any) -> bool:
    return isinstance(answer, Tensor) and not (answer.is_floating_point() or answer.is_complex())


def what_is_wrong(answer: Any, images: Images, classes: int) -> str:
    """In a few words, with what to do; empty if nothing is."""
    size = [len(images), classes, *images.shape[2:]]
    if not isinstance(answer, Tensor):
        kind = f"{type(answer).__module__}.{type(answer).__qualname__}".removeprefix("builtins.")
        return f"it is of type {kind}; give a torch.Tensor {size}"
    if not answer.is_floating_point():
        return f"it is {answer.dtype}; give floats, or a label map of integers"
    if answer.ndim != 4 or answer.shape[0] != size[0]:
        return f"its shape is {list(answer.shape)}; {size} is needed"
    if answer.shape[1] != classes:
        return f"it has {answer.shape[1]} classes where the labels have {classes}; give data with the model's classes"
    if list(answer.shape) != size:
        return f"it is {list(answer.shape[2:])} where images are {size[2:]}; resize it to the image inside the model"
    if not bool(answer.isfinite().all()):
        return f"{int((~answer.isfinite()).sum())} values are not finite"
    low, total = float(answer.min()), answer.float().sum(1)
    if low < -1e-6:
        return f"its smallest value is {low:.3g}, as of logits; put a softmax over the classes behind them"
    worst = float((total - 1).abs().max())
    if worst > TOLERANCE:
        return f"over the classes it sums to 1 but for {worst:.3g}; divide by the sum"
    return ""
