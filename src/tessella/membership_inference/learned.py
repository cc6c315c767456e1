"""The attack of the thesis: a network that looks at maps of what a model said, and was true (section 7.2)."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.membership_inference.signals import FLOOR
from tessella.networks import ResNet

Kind = Literal["posteriors", "posteriors alone", "loss"]
Maps = Float[Tensor, "batch channels height width"]


def describe(
    posteriors: Float[Tensor, "batch classes height width"],
    labels: Int[Tensor, "batch height width"],
    size: tuple[int, int],
    ignore_index: int = 255,
) -> Maps:
    """All that the attack may look at, averaged over areas so that maps of (height, width) ``size`` remain.

    2K + 2 channels: posteriors; share of each class in the labels; loss of the pixels that have a class; their share.
    """
    counted = labels != ignore_index
    classes = posteriors.shape[1]
    shares = F.one_hot(labels.where(counted, classes), classes + 1).movedim(-1, 1)[:, :classes].float()
    true = posteriors.float().gather(1, labels.where(counted, 0)[:, None])
    loss = -true.clamp(min=FLOOR).log() * counted[:, None]
    maps = torch.cat([posteriors.float(), shares, loss, counted[:, None].float()], dim=1)
    maps = F.adaptive_avg_pool2d(maps, size)
    # A pixel without a class has no loss; counted as 0 it would look as if the model were sure.
    maps[:, -2] /= maps[:, -1].clamp(min=1e-6)
    return maps


def channels_of(kind: Kind, classes: int) -> slice:
    """Those of ``describe`` that a kind of attack sees.

    Posteriors and labels, as published; posteriors alone, where there are no labels; or the loss map.
    """
    if kind == "loss":
        return slice(2 * classes, 2 * classes + 2)
    return slice(0, 2 * classes if kind == "posteriors" else classes)


class Attacker(nn.Module):
    """A residual network with one logit: larger, the likelier a model was trained on what the map shows.

    depth, width: of the ResNet at stride 8; the thesis has 50 and 64.
    """

    def __init__(self, channels: int, *, depth: Literal[10, 18, 34, 50] = 10, width: int = 16) -> None:
        super().__init__()
        self.backbone = ResNet(depth, channels, 8, deep_stem=True, width=width)
        self.classifier = nn.Linear(self.backbone.channels[-1], 1)

    def forward(self, maps: Maps) -> Float[Tensor, " batch"]:
        return self.classifier(self.backbone(maps)[-1].mean((2, 3)))[:, 0]


def patches(maps: Maps, size: tuple[int, int]) -> Iterator[Maps]:
    """Windows of (height, width) ``size`` that cover a map, each overlapping the next by half at least.

    Raises InputError where they are larger than the map.
    """
    height, width = maps.shape[2:]
    if size[0] > height or size[1] > width:
        raise InputError(f"patches: of {size} where maps are {(height, width)}; give smaller ones")
    for top in _starts(height, size[0]):
        for left in _starts(width, size[1]):
            yield maps[:, :, top : top + size[0], left : left + size[1]]


def score_images(
    attacker: nn.Module, maps: Maps, size: tuple[int, int]
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch patches"]]:
    """Image-level scores, which are means over windows, and the patch-level scores of these."""
    with torch.inference_mode():
        found = torch.stack([attacker(patch) for patch in patches(maps, size)], dim=1)
    return found.mean(1), found


def _starts(length: int, size: int) -> list[int]:
    steps = -(-2 * (length - size) // size)
    return [round(step * (length - size) / max(steps, 1)) for step in range(steps + 1)]
