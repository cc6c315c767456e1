"""Distances of images by what a network makes of them (thesis, equation 5.6)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError

Features = Callable[[Tensor], list[Tensor]]
"""Images [B, 3, H, W], 0 to 1, to maps [B, C, h, w]."""


class VGGFeatures(nn.Module):
    """What five layers of a VGG-16 hold before their rectifier: conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2.

    Args:
        layers: convolutions, rectifiers and poolings in order (``VGG16.features``, or torchvision's).
        mean, std: of each colour, by which the network's images are normalised.
    """

    TAPS = (2, 7, 12, 19, 26)

    layers: nn.Sequential
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layers: nn.Sequential,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        if len(layers) <= self.TAPS[-1] or not all(isinstance(layers[i], nn.Conv2d) for i in self.TAPS):
            raise InputError("the feature network is no VGG-16 without normalisation")
        self.layers = nn.Sequential(*list(layers)[: self.TAPS[-1] + 1])
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        x, maps = (images - self.mean) / self.std, []
        for number, layer in enumerate(self.layers):
            # Not in place: the maps are what came before the rectifier.
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if number in self.TAPS:
                maps.append(x)
        return maps


class PerceptualDistance(nn.Module):
    """Weighted L1 distances of images themselves, and of their maps: each the sum over a map's channels and places,
    divided by the number of the image's values.

    The authors' weights are for VGG-16 and colours from 0 to 255; ``balance`` sets weights for any other network.

    Args:
        features: stays as it is.
        weights: of the image, then of each map.
    """

    AUTHORS = (1.0, 1.0, 1 / 2.3, 1 / 1.8, 1 / 2.8, 12.5)

    weights: Tensor

    def __init__(self, features: nn.Module, weights: Sequence[float] = AUTHORS) -> None:
        super().__init__()
        self.features = features.requires_grad_(False).eval()
        self.register_buffer("weights", torch.tensor(weights))

    def train(self, mode: bool = True) -> "PerceptualDistance":
        """Its features are never trained."""
        return super().train(False)

    def represent(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """The image and its maps."""
        return [images, *self.features(images)]

    def distance(self, one: list[Tensor], other: list[Tensor]) -> Float[Tensor, " batch"]:
        """Of representations, item by item."""
        if len(self.weights) != len(one):
            raise InputError(
                f"{len(self.weights)} weights for the image and {len(one) - 1} maps: give {len(one)}"
            )
        values = one[0][0].numel()
        terms = [(a - b).abs().float().flatten(1).sum(1) for a, b in zip(one, other, strict=True)]
        return (self.weights * torch.stack(terms, 1)).sum(1) / values

    def pairwise(
        self, one: list[Tensor], other: list[Tensor], groups: int
    ) -> Float[Tensor, "groups ones others"]:
        """Distances of all of ``one`` to all of ``other`` within each of ``groups`` equal parts of both."""
        values = one[0][0].numel()
        total = one[0].new_zeros((), dtype=torch.float32)
        for weight, a, b in zip(self.weights, one, other, strict=True):
            first, second = (m.float().flatten(1).unflatten(0, (groups, -1)) for m in (a, b))
            total = total + weight * torch.cdist(first, second, p=1)
        return total / values

    def forward(self, images: Tensor, targets: Tensor) -> Float[Tensor, " batch"]:
        return self.distance(self.represent(images), self.represent(targets))

    @torch.no_grad()
    def balance(self, images: Float[Tensor, "batch 3 height width"]) -> None:
        """Set the weights such that every term is 1/6 on average (of five maps), between images of different items.

        Raises InputError where there are no images that differ.
        """
        maps = self.represent(images)
        values = maps[0][0].numel()
        means = [(m - m.roll(1, 0)).abs().float().flatten(1).sum(1).mean() / values for m in maps]
        if not min(means) > 0:
            raise InputError("the images to balance by are all alike: give two or more that differ")
        self.weights = 1 / (len(maps) * torch.stack(means))
