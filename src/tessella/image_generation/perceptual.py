"""Distances of images by what a network makes of them (thesis, equation 5.6)."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError

Features = Callable[[Tensor], list[Tensor]]
"""Images [B, 3, H, W], 0 to 1, to maps [B, C, h, w]."""


class VGGFeatures(nn.Module):
    """What five layers of a VGG hold before their rectifier: conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2.

    Args:
        layers: convolutions, rectifiers and poolings in order (``VGG16.features``, or torchvision's VGG-19).
        mean, std: of each colour, by which the network's images are normalised.

    Raises InputError for layers of another kind, and for other than five stages.
    """

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
        self.taps = _second_convolutions(layers)
        if len(self.taps) != 5:
            raise InputError("the feature network is no VGG-16 or VGG-19 without normalisation")
        self.layers = nn.Sequential(*list(layers)[: self.taps[-1] + 1])
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        if images.dim() != 4 or images.shape[1] != 3:
            raise InputError(f"images have shape {list(images.shape)}: features are seen in [B, 3, H, W]")
        x, maps = (images - self.mean) / self.std, []
        for number, layer in enumerate(self.layers):
            # Not in place: the maps are what came before the rectifier.
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if number in self.taps:
                maps.append(x)
        return maps


def _second_convolutions(layers: nn.Sequential) -> tuple[int, ...]:
    """Of each stage; empty where a layer is none of a VGG's."""
    found, convolutions = [], 0
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            convolutions += 1
            if convolutions == 2:
                found.append(number)
        elif any(True for _ in layer.parameters()):
            return ()
        elif not isinstance(layer, nn.ReLU):
            convolutions = 0  # behind a pooling
    return tuple(found)


class PerceptualDistance(nn.Module):
    """Weighted L1 distances of images themselves, and of their maps: each the sum over a map's channels and places,
    divided by the number of the image's values.

    The authors' weights are for VGG-16 and colours from 0 to 255; ``balance`` sets weights for any other network.

    Args:
        features: stays as it is.
        weights: of the image, then of each map.

    Raises InputError for weights that are negative or not finite, or all 0; later for as many as there are no maps.
    """

    AUTHORS = (1.0, 1.0, 1 / 2.3, 1 / 1.8, 1 / 2.8, 12.5)

    weights: Tensor

    def __init__(self, features: nn.Module, weights: Sequence[float] = AUTHORS) -> None:
        super().__init__()
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise InputError(f"weights are {tuple(weights)}: give finite ones of at least 0, and one above")
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
        self._require_weights(one)
        values = one[0][0].numel()
        terms = [(a - b).abs().float().flatten(1).sum(1) for a, b in zip(one, other, strict=True)]
        return (self.weights * torch.stack(terms, 1)).sum(1) / values

    def pairwise(
        self, one: list[Tensor], other: list[Tensor], groups: int
    ) -> Float[Tensor, "groups ones others"]:
        """Distances of all of ``one`` to all of ``other`` within each of ``groups`` equal parts of both."""
        self._require_weights(one)
        values = one[0][0].numel()
        total = one[0].new_zeros((), dtype=torch.float32)
        for weight, a, b in zip(self.weights, one, other, strict=True):
            first, second = (m.float().flatten(1).unflatten(0, (groups, -1)) for m in (a, b))
            total = total + weight * torch.cdist(first, second, p=1)
        return total / values

    def _require_weights(self, representation: list[Tensor]) -> None:
        needed = len(representation)
        if len(self.weights) != needed:
            raise InputError(
                f"{len(self.weights)} weights for the image and {needed - 1} maps: give {needed}"
            )

    def forward(self, images: Tensor, targets: Tensor) -> Float[Tensor, " batch"]:
        """Raises InputError where there are not as many targets as images, of one size."""
        if images.shape != targets.shape:
            raise InputError(
                f"images have shape {list(images.shape)}, their targets {list(targets.shape)}: give the same"
            )
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
