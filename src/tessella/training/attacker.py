"""Trains the network that tells members from non-members by maps of a shadow model's answers."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError


def train_attacker(
    attacker: nn.Module,
    maps: Sequence[np.ndarray],
    members: Sequence[np.ndarray],
    nonmembers: Sequence[np.ndarray],
    *,
    crop: tuple[int, int],
    steps: int = 1500,
    batch_size: int = 32,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.05,
    seed: int = 0,
) -> nn.Module:
    """Binary cross-entropy on random patches, mirrored or not, as many of members as of others; returns ``attacker``.

    maps: of each shadow model, [images, channels, height, width]; may be on disk. members, nonmembers: of each, which
    of its images it was trained on, and which it was not. crop: (height, width) of a patch.

    Raises InputError where a shadow has one side alone, and where the loss is not finite.
    """
    sides = list(zip(nonmembers, members, strict=True))
    for number, (outside, inside) in enumerate(sides):
        if not len(outside) or not len(inside):
            raise InputError(
                f"shadow {number}: its images are all on one side; half of them it must not have seen"
            )
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(attacker.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
    attacker.train()
    for step in range(steps):
        truth = rng.integers(0, 2, batch_size)
        batch = torch.stack([_patch(maps, sides, int(side), crop, rng) for side in truth])
        loss = F.binary_cross_entropy_with_logits(attacker(batch), torch.from_numpy(truth).float())
        if not math.isfinite(loss.item()):
            raise InputError(
                f"the learned attack: its loss is {loss.item()} at step {step}; look at the shadows' answers, which "
                "may hold numbers that are not finite, or leave it out with --attacker-steps 0"
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return attacker.eval()


def _patch(
    maps: Sequence[np.ndarray],
    sides: Sequence[Sequence[np.ndarray]],
    side: int,
    crop: tuple[int, int],
    rng: np.random.Generator,
) -> Tensor:
    shadow = int(rng.integers(len(maps)))
    image = maps[shadow][rng.choice(sides[shadow][side])]
    top, left = (rng.integers(length - size + 1) for length, size in zip(image.shape[1:], crop, strict=True))
    patch = torch.from_numpy(image[:, top : top + crop[0], left : left + crop[1]].astype(np.float32))
    return patch.flip(2) if rng.integers(2) else patch
