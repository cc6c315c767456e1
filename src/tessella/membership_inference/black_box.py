"""What an attack may know of its victim: posteriors for images, and nothing else."""

from collections.abc import Callable

from jaxtyping import Float, UInt8
from torch import Tensor

from tessella.errors import InputError

Images = UInt8[Tensor, "batch channels height width"]
Posteriors = Float[Tensor, "batch classes height width"]
BlackBox = Callable[[Images], Posteriors]
"""A local network, a file, a server or a defended model: pictures as they are on disk to posteriors."""

TOLERANCE = 1e-2
"""How far posteriors may be from a sum of 1: those in bfloat16 are off by 2^-9 of themselves, and so is their sum."""


def checked(black_box: BlackBox, classes: int) -> BlackBox:
    """The same black box, whose answers are looked at before they are used.

    Raises InputError, when called, for answers that are no posteriors of so many classes at the images' resolution.
    """

    def ask(images: Images) -> Posteriors:
        answer = black_box(images)
        problem = what_is_wrong(answer, images, classes)
        if problem:
            raise InputError(f"the model's answer is no map of posteriors: {problem}")
        return answer

    return ask


def what_is_wrong(answer: Tensor, images: Images, classes: int) -> str:
    """In a few words, with what to do; empty if nothing is."""
    size = [len(images), classes, *images.shape[2:]]
    if not answer.is_floating_point():
        return f"it is {answer.dtype}; a model that only gives labels can be attacked by what needs no more"
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
