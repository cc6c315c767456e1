"""The learned attack: trained on shadow models whose members are known, then asked about another model's answers."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tessella.files import write_bytes
from tessella.membership_inference.learned import Attacker, Kind, channels_of, score_images, tempered
from tessella.training.attacker import train_attacker

CROP = (24, 24)
"""Of a patch, in cells of 8 x 8 pixels."""

BATCH = 32

SOME = 200
"""Images of a model by which it is judged how sure it is."""


class Shadow(NamedTuple):
    """maps: [images, 2K + 2, height, width] of ``describe``, may be on disk. members, nonmembers: which images."""

    maps: np.ndarray
    members: np.ndarray
    nonmembers: np.ndarray


class Scores(NamedTuple):
    """images: [N]. patches: [N, patches]."""

    images: np.ndarray
    patches: np.ndarray


def new_attacker(kind: Kind, channels: int) -> Attacker:
    """channels: of the maps."""
    seen = channels_of(kind, channels // 2 - 1)
    return Attacker(seen.stop - seen.start)


def attacker_of(shadows: Sequence[Shadow], kind: Kind, steps: int, seed: int = 0) -> Attacker:
    """Trained for so many steps on all shadows alike."""
    torch.manual_seed(seed)
    channels = shadows[0].maps.shape[1]
    attacker, seen = new_attacker(kind, channels), channels_of(kind, channels // 2 - 1)
    train_attacker(
        attacker,
        [shadow.maps[:, seen] for shadow in shadows],
        [shadow.members for shadow in shadows],
        [shadow.nonmembers for shadow in shadows],
        crop=CROP,
        steps=steps,
        seed=seed,
    )
    return attacker


def kept_attacker(
    file: Path, head: Any, kind: Kind, channels: int, train: Callable[[], Attacker]
) -> Attacker:
    """The attacker of ``file`` if it was trained on what ``head`` says; otherwise a new one, which is kept there.

    channels: of the maps.
    """
    if file.exists():
        saved = torch.load(file, weights_only=True)
        if saved["head"] == head:
            attacker = new_attacker(kind, channels)
            attacker.load_state_dict(saved["state"])
            return attacker.eval()
    attacker = train()
    content = BytesIO()
    torch.save({"head": head, "state": attacker.state_dict()}, content)
    write_bytes(file, content.getvalue())
    return attacker


def scores_by(attacker: Attacker, kind: Kind, maps: np.ndarray, temperature: float = 1.0) -> Scores:
    """Of each image, and of the patches that cover it. temperature: of posteriors, before they are looked at."""
    seen = channels_of(kind, maps.shape[1] // 2 - 1)
    batches = [
        score_images(attacker, _at(temperature, _floats(maps[start : start + BATCH]))[:, seen], CROP)
        for start in range(0, len(maps), BATCH)
    ]
    return Scores(
        torch.cat([image for image, _ in batches]).numpy(), torch.cat([patch for _, patch in batches]).numpy()
    )


def _at(temperature: float, maps: Tensor) -> Tensor:
    return maps if temperature == 1 else tempered(maps, temperature)


def some(maps: np.ndarray) -> Tensor:
    """Every n-th image, so that there are ``SOME`` at most."""
    return _floats(maps[:: -(-len(maps) // SOME)])


def _floats(maps: np.ndarray) -> Tensor:
    return torch.from_numpy(maps.astype(np.float32))
