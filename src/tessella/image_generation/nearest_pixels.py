"""PixelNN (Bansal et al., ICLR 2018): a regression, whose pixels are replaced by those of training images."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.image_generation.perceptual import Features


def nearest_pixels(
    regressed: Float[Tensor, "3 height width"],
    examples: Float[Tensor, "examples 3 height width"],
    features: Features,
    *,
    maps: Sequence[int] = (0, 1, 2),
    window: int = 4,
) -> Float[Tensor, "examples 3 height width"]:
    """Each example's own version of the regressed image: every pixel is the example's pixel that is most like it.

    Alike are pixels with a small angle between their descriptors, which are the chosen ``maps`` of ``features``, each
    brought to full resolution and to unit length. Sought is at most ``window`` pixels away. The authors take the
    examples from the whole training set by a global descriptor; several outputs are several examples.

    Raises InputError where the examples have another size than the image, or there are none, and for a negative window.
    """
    if not len(examples) or examples.shape[1:] != regressed.shape:
        raise InputError(
            f"the image has shape {list(regressed.shape)}, its examples {list(examples.shape)}: give some of its size"
        )
    if window < 0:
        raise InputError(f"window is {window}: give at least 0 pixels")
    with torch.no_grad():
        wanted = _descriptors(regressed[None], features, maps)
        known = _descriptors(examples, features, maps)
        size = (regressed.shape[-2], regressed.shape[-1])
        best = torch.full((len(examples), 1, *size), -torch.inf, device=examples.device)
        result = examples.clone()
        margin = (window,) * 4
        columns = wanted[0].permute(1, 2, 0)  # [height, width, channels]
        # [height + margins, channels, examples * (width + margins)]: once, so that no row below is copied.
        rows = F.pad(known, margin).permute(2, 1, 0, 3).flatten(2)
        # Outside an example there is nothing to take.
        inside = F.pad(torch.ones_like(best), margin)
        colors = F.pad(examples, margin)
        for row in range(2 * window + 1):
            # All pairs of places of a row at once: more products than are needed, but as one of matrices.
            pairs = (columns @ rows[row : row + size[0]]).unflatten(2, (len(examples), -1))
            for column in range(2 * window + 1):
                part = (..., slice(row, row + size[0]), slice(column, column + size[1]))
                alike = pairs.diagonal(column, 1, 3).transpose(0, 1)[:, None]
                alike = alike.masked_fill(inside[part] == 0, -torch.inf)
                result = torch.where(alike > best, colors[part], result)
                best = torch.maximum(best, alike)
        return result


def _descriptors(images: Tensor, features: Features, maps: Sequence[int]) -> Tensor:
    size = (images.shape[-2], images.shape[-1])
    found = features(images)
    parts = [
        F.normalize(F.interpolate(found[m].float(), size, mode="bilinear", align_corners=False), dim=1)
        for m in maps
    ]
    return torch.cat(parts, 1)


def closest_examples(
    place: Float[np.ndarray, " dims"], places: Float[np.ndarray, "items dims"], number: int
) -> np.ndarray:
    """The items whose conditions are nearest by mean absolute difference, nearest first."""
    distances = np.abs(places - place).mean(1)
    return np.argsort(distances, kind="stable")[:number]
