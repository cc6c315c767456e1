"""Networks that judge generated images: what condition an image answers to, and what makes it itself.

Judges that one would download (a face alignment, a face embedding, a normal estimator) are trained here, on training
images, and apart from the generators. Their features serve a perceptual distance too; a judge is then another network
than the one that the generator was trained by. Scores by such networks cannot be compared with published ones.
"""

from typing import Any, Literal, Protocol, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.image_generation.perceptual import VGGFeatures
from tessella.networks import VGG16

Kind = Literal["landmarks", "maps", "embedding"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class AnyJudge(Protocol):
    """A module, ready to predict, that judges images [n, 3, H, W], 0 to 1.

    kind: what it has. ``embedding``: ``represent(images)``, maps [n, C, h, w], any number, and a vector [n, D] for each
    image behind them. ``landmarks``: ``landmarks(images)`` as ``ConditionEstimator``, and ``condition_channels``, their
    number. ``maps``: a call that returns conditions [n, C, H, W], ``condition_channels``, C, and, if it likes,
    ``map_kind`` as ``ConditionEstimator``.
    """

    @property
    def kind(self) -> str: ...

    def to(self, device: torch.device) -> Any: ...


def small_vgg(width: int) -> nn.Sequential:
    """The layers of a VGG-16 of so many channels in its first stage, the last pooling left out."""
    return VGG16(width=width).features


class ConditionEstimator(nn.Module):
    """Images [B, 3, H, W], 0 to 1, to their conditions [B, C, H, W]: the reverse of generation.

    ``landmarks``: C heat maps, of which a softmax says where each landmark is. ``maps``: values at each place.

    Args:
        condition_channels: C.
        width: channels of the first stage of a VGG-16; 64 as published.
    """

    map_kind: str | None = None
    """What kind of map it reads, where that is known: ``edges``, ``labels`` or ``normals``."""

    def __init__(self, condition_channels: int, *, kind: Kind = "maps", width: int = 16) -> None:
        super().__init__()
        self.kind = kind
        self.condition_channels = condition_channels
        self.features = VGGFeatures(small_vgg(width))
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.lateral = nn.ModuleList(nn.Conv2d(w, 4 * width, 1) for w in widths[1:])
        self.condition = nn.Sequential(
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, condition_channels, 3, padding=1),
        )

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        return F.interpolate(self.coarse(images), images.shape[-2:], mode="bilinear", align_corners=False)

    def coarse(self, images: Tensor) -> Float[Tensor, "batch channels h w"]:
        """At half the resolution, that of the finest map used."""
        maps = self.features(images)[1:]
        x = self.lateral[-1](F.relu(maps[-1]))
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            x = lateral(F.relu(finer)) + F.interpolate(
                x, finer.shape[-2:], mode="bilinear", align_corners=False
            )
        result: Tensor = self.condition(x)
        return result

    def loss(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Mean L1; for landmarks their mean distance in shares of the width."""
        if self.kind == "landmarks":
            return (self.landmarks(images) - places(conditions)).norm(dim=2).mean()
        return (self(images).float() - conditions).abs().mean()

    def landmarks(self, images: Tensor) -> Float[Tensor, "batch landmarks 2"]:
        """See ``places``; the mean of a softmax over all places."""
        maps = self.coarse(images).float()
        return places(maps.flatten(2).softmax(2).view_as(maps))


def places(maps: Float[Tensor, "batch landmarks height width"]) -> Float[Tensor, "batch landmarks 2"]:
    """Mean place of each map's mass: x and y, divided by the width, from the left and upper edge of the first pixel."""
    height, width = maps.shape[-2:]
    mass = maps / maps.sum((2, 3), keepdim=True).clamp(min=1e-9)
    x = (mass.sum(2) * (torch.arange(width, device=maps.device) + 0.5)).sum(2)
    y = (mass.sum(3) * (torch.arange(height, device=maps.device) + 0.5)).sum(2)
    return torch.stack([x, y], 2) / width


class Embedding(nn.Module):
    """What tells an image from all others, whatever its crop, mirroring and brightness (Chen et al., SimCLR, 2020).

    ``represent`` gives what stands for the six layers of table 5.3: five maps, and the embedding of unit length.
    """

    kind: Kind = "embedding"

    def __init__(self, *, width: int = 16, channels: int = 64, temperature: float = 0.2) -> None:
        super().__init__()
        self.features = VGGFeatures(small_vgg(width))
        self.head = nn.Sequential(nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, channels))
        self.temperature = temperature

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels"]:
        return self.represent(images)[-1]

    def represent(self, images: Tensor) -> list[Tensor]:
        maps = self.features(images)
        pooled = F.relu(maps[-1]).mean((2, 3))
        return [*maps, F.normalize(self.head(pooled).float(), dim=1)]

    def loss(self, images: Tensor, conditions: Tensor) -> Tensor:
        """NT-Xent of two views of each image."""
        both = self(torch.cat([_view(images), _view(images)]))
        alike = both @ both.T / self.temperature
        number = len(images)
        alike = alike.masked_fill(torch.eye(2 * number, dtype=torch.bool, device=alike.device), -torch.inf)
        partner = torch.arange(2 * number, device=alike.device).roll(number)
        return F.cross_entropy(alike, partner)


def _view(images: Tensor) -> Tensor:
    """Of each image a crop of 70 to 100% of its side, mirrored or not, brighter or darker."""
    number = len(images)
    chance = torch.rand(5, number, device=images.device)
    side = 0.7 + 0.3 * chance[0]
    flip = torch.where(chance[1] < 0.5, -1.0, 1.0)
    theta = torch.zeros(number, 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = side * flip, side
    theta[:, 0, 2], theta[:, 1, 2] = (2 * chance[2] - 1) * (1 - side), (2 * chance[3] - 1) * (1 - side)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    shown = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return (shown * (0.8 + 0.4 * chance[4])[:, None, None, None]).clamp(0, 1)
