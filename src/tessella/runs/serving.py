"""A trained model as it is served: behind its defences, with what the page and the protocol say of it."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tessella.datasets import LabelClass, class_names
from tessella.pictures import default_palette
from tessella.runs.asking import fingerprint
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
    trusted: Sequence[str] = ("tessella",),
) -> Served:
    """``model``, already on its device.

    secret: that the defences draw noise from. posteriors: whether they may be asked for. compare: whether all may see
    what stands behind the defences. trusted: packages whose classes the generator's run may name.

    Raises InputError for defences that there are not.
    """

    def black_box(images: torch.Tensor) -> torch.Tensor:
        return model(images.to(device)).cpu()

    classes = model.classes or _numbered(black_box(torch.zeros(1, model.channels, 64, 64, dtype=torch.uint8)))
    number = len(classes)
    # Other noise for another model or defence: two answers that share their noise give it away.
    about = repr((fingerprint(model.network), list(defences), generator)).encode()
    secret = hashlib.blake2b(about, key=secret, digest_size=32).digest()
    protected = defended(black_box, model.network, defences, generator, secret, trusted)
    return Served(
        name=name,
        classes=tuple(class_names(classes)),
        palette=np.array([label.color for label in classes], np.uint8),
        channels=model.channels,
        answer=posteriors_of(protected, number) if posteriors else labels_of(protected, number),
        posteriors=posteriors,
        undefended=labels_of(black_box, number) if compare and defences else None,
    )


def _numbered(posteriors: torch.Tensor) -> tuple[LabelClass, ...]:
    """Classes of a model that does not name them."""
    palette = default_palette(posteriors.shape[1])
    return tuple(LabelClass(str(number), tuple(colour)) for number, colour in enumerate(palette.tolist()))


def name_of(source: str) -> str:
    """The run's folder, or the file's name without its ending."""
    path = Path(source.rpartition(":")[2] if ".py:" in source else source)
    return path.stem if path.suffix else path.name


def in_url(name: str) -> str:
    """``name`` of what needs no quoting there."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "model"
