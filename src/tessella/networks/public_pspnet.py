"""Names of PSPNet's public PyTorch release, in ours."""

import re
from collections.abc import Mapping

from torch import Tensor

STEM = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
"""Places in ``layer0``, the release's stem with its rectifiers in between, to the stem's names in ``ResNet``."""


def rename_public_pspnet(weights: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The same tensors with ``layer0.0.weight`` as ``backbone.conv1.weight``, ``layer1`` as ``backbone.layer1``.

    The heads have the same names in both. None if the file has no ``layer0.0.weight``: it is not of this kind.
    """
    stems = (re.fullmatch(r"(|.+\.)layer0\.0\.weight", name) for name in weights)
    around = next((stem[1] for stem in stems if stem), None)
    if around is None:
        return None
    return {around + _rename(name.removeprefix(around)): tensor for name, tensor in weights.items()}


def _rename(name: str) -> str:
    if stem := re.match(r"layer0\.([013467])\.", name):
        return f"backbone.{STEM[stem[1]]}.{name[stem.end() :]}"
    return f"backbone.{name}" if re.match(r"layer[1-4]\.", name) else name
