"""A trained model as it is served: behind its defences, with what the page and the protocol say of it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tessella.errors import InputError
from tessella.runs.defended import defended
from tessella.runs.model import Model
from tessella.serving.answers import Served, labels_of, posteriors_of


def served(
    model: Model,
    device: torch.device,
    *,
    name: str,
    defences: Sequence[str],
    generator: str = "",
    secret: bytes,
    posteriors: bool,
    compare: bool,
) -> Served:
    """``model``, already on its device.

    secret: that the defences draw noise from. posteriors: whether they may be asked for. compare: whether all may see
    what stands behind the defences.

    Raises InputError for a model that does not say its number of classes, and for defences that there are not.
    """
    if model.classes is None:
        raise InputError(
            f"{name}: does not name its classes; serve a run, a checkpoint, or what tessella export wrote"
        )
    number = len(model.classes)

    def black_box(images: torch.Tensor) -> torch.Tensor:
        return model(images.to(device)).cpu()

    protected = defended(black_box, model.network, defences, generator, secret)
    return Served(
        name=name,
        classes=tuple(label.name for label in model.classes),
        palette=np.array([label.color for label in model.classes], np.uint8),
        channels=model.channels,
        answer=posteriors_of(protected, number) if posteriors else labels_of(protected, number),
        posteriors=posteriors,
        undefended=labels_of(black_box, number) if compare and defences else None,
    )


def name_of(source: str) -> str:
    """For URLs, from where a model comes: the run's folder, or the file's name without its ending."""
    path = Path(source.rpartition(":")[2] if ".py:" in source else source)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem if path.suffix else path.name).strip("-.") or "model"
