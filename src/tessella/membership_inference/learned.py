"""The attack of the thesis: a network that looks at maps of what a model said, and was true (section 7.2)."""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.membership_inference.signals import FLOOR
from tessella.networks import ResNet

Kind = Literal["posteriors", "posteriors alone", "loss"]
KINDS: tuple[Kind, ...] = get_args(Kind)
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
    labels = labels.long()
    counted = labels != ignore_index
    classes = posteriors.shape[1]
    shares = torch.zeros(len(labels), classes + 1, *labels.shape[1:], device=posteriors.device)
    shares = shares.scatter_(1, labels.where(counted, classes)[:, None], 1)[:, :classes]
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


def mean_confidence(maps: Maps) -> float:
    """Of the predicted classes, over all cells of maps as ``describe`` makes them."""
    return float(maps[:, : maps.shape[1] // 2 - 1].amax(1).mean(dtype=torch.float64))


def tempered(maps: Maps, temperature: float) -> Maps:
    """The same maps, with posteriors as of logits divided by ``temperature``; the loss stays as it is."""
    classes = maps.shape[1] // 2 - 1
    logits = maps[:, :classes].clamp(min=FLOOR).log() / temperature
    return torch.cat([logits.softmax(1), maps[:, classes:]], dim=1)


def matching_temperature(maps: Maps, confidence: float) -> float:
    """That by which maps have this mean confidence, or come nearest to it; from 1/16 to 16.

    One network is surer than another whatever it was trained on (thesis, section 7.5.2); an attacker that was trained
    on the answers of one finds more in those of another if they are made as sure.
    """
    low, high = -4.0, 4.0  # of the logarithm to base 2: the higher, the less sure
    for _ in range(12):
        middle = (low + high) / 2
        surer = mean_confidence(tempered(maps, 2**middle)) > confidence
        low, high = (middle, high) if surer else (low, middle)
    return float(2 ** ((low + high) / 2))


class Attacker(nn.Module):
    """A residual network with one logit: larger, the likelier a model was trained on what the map shows.

    depth, width: of the ResNet at stride 8; the thesis has 50 and 64.
    """

    def __init__(self, channels: int, *, depth: Literal[10, 18, 34, 50] = 10, width: int = 16) -> None:
        super().__init__()
        self.backbone = ResNet(depth, channels, 8, deep_stem=True, width=width)
        self.classifier = nn.Linear(self.backbone.channels[-1], 1)

    def forward(self, maps: Maps) -> Float[Tensor, " batch"]:
        return self.activation(maps).mean((1, 2))

    def activation(self, maps: Maps) -> Float[Tensor, "batch height width"]:
        """What each place adds to the logit, of which this is the mean: the class activation map (Zhou et al. 2016)."""
        features = self.backbone(maps)[-1]
        return self.classifier(features.movedim(1, -1))[..., 0]


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
