"""What a server gives of its model: label maps, posteriors where they are allowed, and a description of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from tessella.errors import InputError
from tessella.membership_inference.black_box import BlackBox, checked
from tessella.serving.batching import Answer
from tessella.serving.pictures import INPUTS
from tessella.serving.protocol import Malformed, NamedTensor, Request, Wanted, write_response

LABELS, POSTERIORS = "labels", "posteriors"

MOST_IN_JSON = 2_000_000
"""Posteriors; writing more would hold up everyone else."""


@dataclass(frozen=True)
class Served:
    """A model as it is served.

    name: in the URL. classes: names; palette: their colours [K, 3]. channels: of its pictures. answer: pictures to
    label maps [B, H, W], or to posteriors [B, K, H, W] where ``posteriors``. undefended: pictures to the label maps
    that stand behind the defences; None where nobody may see them.
    """

    name: str
    classes: tuple[str, ...]
    palette: UInt8[np.ndarray, "classes 3"]
    channels: int
    answer: Answer
    posteriors: bool = False
    undefended: Answer | None = None


def labels_of(black_box: BlackBox, classes: int) -> Answer:
    """Label maps of a black box. Raises InputError, when asked, for what is no map of so many finite numbers."""

    def answer(images: Tensor) -> Tensor:
        posteriors = black_box(images)
        size = (len(images), classes, *images.shape[2:])
        if posteriors.shape != size or not bool(posteriors.sum().isfinite()):
            raise InputError(f"the model's answer is no map of finite numbers {list(size)}")
        return _labels(posteriors, classes)

    return answer


def posteriors_of(black_box: BlackBox, classes: int) -> Answer:
    ask = checked(black_box, classes)
    return lambda images: ask(images).float().cpu()


def metadata(served: Served) -> dict[str, Any]:
    """What the protocol says of a model; its classes and their colours beside it."""
    picture = [-1, served.channels, -1, -1]
    outputs = [{"name": LABELS, "datatype": _label_type(len(served.classes)), "shape": [-1, -1, -1]}]
    if served.posteriors:
        outputs.append({"name": POSTERIORS, "datatype": "FP32", "shape": [-1, len(served.classes), -1, -1]})
    return {
        "name": served.name,
        "platform": "tessella",
        "inputs": [
            {"name": name, "datatype": kind, "shape": [-1] if kind == "BYTES" else picture}
            for name, kind in INPUTS.items()
            if kind != "BYTES" or served.channels == 3
        ],
        "outputs": outputs,
        "parameters": {
            "classes": list(served.classes),
            "palette": served.palette.tolist(),
            "inputs": "give one of the inputs; floats lie in 0 to 1, BYTES are PNG or JPEG files",
        },
    }


def requested(request: Request, served: Served, pixels: int) -> Sequence[Wanted]:
    """The outputs that are asked for; label maps where none is.

    Raises Malformed for one that there is not, and for more posteriors in JSON than a server has time to write.
    """
    known = (LABELS, POSTERIORS) if served.posteriors else (LABELS,)
    for wanted in request.wanted or ():
        if wanted.name not in known:
            raise Malformed(f"output {wanted.name[:80]!r}: this server gives {' and '.join(known)}")
        if wanted.name == POSTERIORS and not wanted.binary and pixels * len(served.classes) > MOST_IN_JSON:
            raise Malformed(f"posteriors of {pixels} pixels are given as bytes alone: ask with binary_data")
    return request.wanted or [Wanted(LABELS, request.binary)]


def encode(
    served: Served, version: str, id_: str, wanted: Sequence[Wanted], answer: Tensor
) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON where tensors stand behind it."""
    tensors = (
        {POSTERIORS: answer, LABELS: _labels(answer, len(served.classes))}
        if served.posteriors
        else {LABELS: answer}
    )
    outputs = [(NamedTensor(each.name, tensors[each.name].numpy()), each.binary) for each in wanted]
    return write_response(served.name, version, id_, outputs)


def _labels(posteriors: Tensor, classes: int) -> Tensor:
    kind = torch.uint8 if classes <= 256 else torch.int16
    return posteriors.argmax(1).to("cpu", kind)


def _label_type(classes: int) -> str:
    return "UINT8" if classes <= 256 else "INT16"
