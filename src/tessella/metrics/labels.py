"""From scores to labels, and the checks that every metric makes of a prediction and its ground truth."""

import torch
from jaxtyping import Integer, Num, Shaped
from torch import Tensor

from tessella.errors import InputError


def predicted_labels(
    scores: Num[Tensor, "*batch classes height width"],
) -> Integer[Tensor, "*batch height width"]:
    """The class of the highest score, the first of equals: `scores.argmax(-3)`, but faster.

    The result is uint8 up to 255 classes, else int32. A pixel with a NaN score gets the number of classes,
    which is no class.
    """
    num_classes = scores.shape[-3]
    dtype = torch.uint8 if num_classes <= 255 else torch.int32
    # Reductions over small integers are several times faster than argmax across a strided dimension: mark the
    # maxima, give the first of them the largest number, reduce. One image at a time stays near the cache.
    countdown = torch.arange(num_classes, 0, -1, dtype=dtype, device=scores.device)[:, None, None]
    labels = torch.empty(scores.shape[:-3] + scores.shape[-2:], dtype=dtype, device=scores.device)
    flat_labels = labels.view(-1, *labels.shape[-2:])
    flat_scores = scores.detach().reshape(-1, *scores.shape[-3:])
    for image_scores, image_labels in zip(flat_scores, flat_labels, strict=True):
        is_highest = image_scores == image_scores.amax(0)
        torch.sub(num_classes, (is_highest * countdown).amax(0), out=image_labels)
    return labels


def check_same_pixels(
    prediction: Shaped[Tensor, "..."], target: Integer[Tensor, "*batch height width"], num_classes: int
) -> None:
    """Raise InputError unless `prediction` holds labels, or scores of the classes, for `target`'s pixels."""
    if target.is_floating_point():
        raise InputError(f"target has dtype {target.dtype}; give the class of every pixel as integers")
    if not prediction.is_floating_point():
        expected = tuple(target.shape)
    else:
        expected = (*target.shape[:-2], num_classes, *target.shape[-2:])
    if tuple(prediction.shape) != expected:
        kind = "scores" if prediction.is_floating_point() else "labels"
        raise InputError(
            f"prediction is {kind} of shape {tuple(prediction.shape)}, but target has shape "
            f"{tuple(target.shape)} and there are {num_classes} classes; expected shape {expected}"
        )


def as_codes(labels: Integer[Tensor, "..."], num_classes: int) -> Integer[Tensor, "..."]:
    """A new int32 tensor of labels, with -1 for whatever is below the classes and `num_classes` above."""
    if labels.dtype in (torch.int64, torch.uint32, torch.uint64):
        return labels.to(torch.int64).clamp(-1, num_classes).to(torch.int32)
    return labels.to(torch.int32, copy=True).clamp_(-1, num_classes)


def outside_classes_error(what: str, counted: Integer[Tensor, "..."], num_classes: int) -> InputError:
    """The error that names the ids among the labels `counted` that are no class."""
    counted = counted.to(torch.int64)
    outside = counted[(counted < 0) | (counted >= num_classes)]
    ids = outside.unique().tolist()
    shown = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
    return InputError(
        f"{what} holds label {shown} ({outside.numel()} pixels), but the {num_classes} classes are "
        f"0 to {num_classes - 1}; map the labels to classes or to ignore_index first"
    )
