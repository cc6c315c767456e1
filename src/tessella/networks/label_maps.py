"""Models that answer with class labels in place of scores."""

from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from tessella.errors import InputError


def posteriors_of_labels(
    labels: Integer[Tensor, "batch height width"], classes: int, whose: str
) -> Float[Tensor, "batch classes height width"]:
    """1 for the class that each pixel is given, 0 for the others.

    Raises InputError, which begins with ``whose``, for an id that is no class.
    """
    labels = labels.long()
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"{whose} gives label {low if low < 0 else high}, and there are {classes} classes, from 0 on: say how many "
            "the model has (--classes)"
        )
    return F.one_hot(labels, classes).movedim(-1, 1).float()
