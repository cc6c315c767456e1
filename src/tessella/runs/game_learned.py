"""The learned attack in a game: its shadows are half of the models, its victims the other half, and the reverse."""

from pathlib import Path

import numpy as np
import torch

from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.learned import Attacker, Kind, channels_of, score_images
from tessella.runs.game import maps_file
from tessella.scenes.files import npz, write_bytes
from tessella.training.attacker import train_attacker

CROP = (24, 24)
"""Of a patch, in cells of 8 x 8 pixels."""

KINDS: tuple[Kind, ...] = ("posteriors", "loss")


def learned_scores(
    out: Path, members: np.ndarray, block: np.ndarray, kind: Kind, *, steps: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Image-level scores [models, images], and patch-level ones [models, images, patches].

    steps: of training. What was trained and scored lies in ``learned_KIND_STEPS.npz`` and is not done again.
    """
    file = out / f"learned_{kind}_{steps}.npz"
    if file.exists():
        with np.load(file) as found:
            return found["images"], found["patches"]
    maps = [np.load(maps_file(out, model), mmap_mode="r") for model in range(len(members))]
    channels = channels_of(kind, maps[0].shape[1] // 2 - 1)
    seen = [each[:, channels] for each in maps]
    kept = block != DROPPED
    images = np.full(members.shape, np.nan)
    patches: list[np.ndarray] = [np.empty(0)] * len(members)
    for half in (0, 1):
        shadows = range(half, len(members), 2)
        torch.manual_seed(seed)
        attacker = train_attacker(
            Attacker(seen[0].shape[1]),
            [seen[shadow] for shadow in shadows],
            [np.flatnonzero(members[shadow] & kept) for shadow in shadows],
            [np.flatnonzero(~members[shadow] & kept) for shadow in shadows],
            crop=CROP,
            steps=steps,
            seed=seed,
        )
        for victim in range(1 - half, len(members), 2):
            scores = [
                score_images(attacker, torch.from_numpy(batch.astype(np.float32)), CROP)
                for batch in np.array_split(seen[victim], max(1, len(seen[victim]) // 32))
            ]
            images[victim] = torch.cat([image for image, _ in scores]).numpy()
            patches[victim] = torch.cat([patch for _, patch in scores]).numpy()
    write_bytes(file, npz([("images", images), ("patches", np.array(patches))]))
    return images, np.array(patches)
