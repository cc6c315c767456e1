"""Surface normals: the angle between predicted and true ones, and the six numbers that are published of it.

Mean, median and root mean squared angle, and the shares within 11.25, 22.5 and 30 degrees: Fouhey, Gupta and
Hebert, "Data-driven 3D primitives for single image understanding", ICCV 2013.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tessella.errors import InputError

Normals = Float[Tensor, "*batch 3 height width"]


@dataclass(frozen=True)
class NormalScores:
    """mean, median, rmse: degrees; within_...: shares, 0 to 1, of angles smaller than so many degrees."""

    mean: float
    median: float
    rmse: float
    within_11_25: float
    within_22_5: float
    within_30: float


def normal_errors(
    predicted: Normals, true: Normals, valid: Bool[Tensor, "*batch height width"] | None = None
) -> Float[Tensor, " pixels"]:
    """The angle, 0 to 180 degrees, at each pixel that counts, in the order of the pixels.

    Normals may have any length. Pixels count where `valid` is true (everywhere, without it) and neither normal
    has length zero.

    Raises InputError where sizes differ, or where a valid normal is not finite.
    """
    valid_shape = (*true.shape[:-3], *true.shape[-2:])
    if predicted.shape != true.shape or true.ndim < 3 or true.shape[-3] != 3:
        raise InputError(
            f"normals have shapes {list(predicted.shape)} and {list(true.shape)}; give [..., 3, H, W] of one size"
        )
    if valid is None:
        valid = torch.ones(valid_shape, dtype=torch.bool, device=true.device)
    if valid.shape != valid_shape or valid.dtype != torch.bool:
        raise InputError(
            f"valid is {valid.dtype} of shape {list(valid.shape)}; give torch.bool of shape {list(valid_shape)}"
        )
    of_prediction, of_truth = (normals.float().movedim(-3, -1)[valid] for normals in (predicted, true))
    for name, normals in (("predicted", of_prediction), ("true", of_truth)):
        if not normals.isfinite().all():
            raise InputError(f"{name} normals are not finite in valid pixels; leave these out by `valid`")
    counts = of_prediction.any(-1) & of_truth.any(-1)
    a, b = _unit(of_prediction[counts]), _unit(of_truth[counts])
    # By both sine and cosine: the arc cosine alone is off by 0.03 degrees near equal normals in float32.
    sine = torch.linalg.cross(a, b).norm(dim=-1)
    return torch.rad2deg(torch.atan2(sine, (a * b).sum(-1)))


def normal_scores(angles: Float[Tensor, " pixels"]) -> NormalScores:
    """The scores of all pixels together, each counting the same; nan where there are none.

    The median of an even number of angles is the mean of the middle two.
    """
    angles = angles.flatten().double()
    low, high = angles.median(), -(-angles).median()  # `median` takes the lower of both middle values
    within_11_25, within_22_5, within_30 = (
        (angles < limit).double().mean().item() for limit in (11.25, 22.5, 30)
    )
    return NormalScores(
        mean=angles.mean().item(),
        median=((low + high) / 2).item(),
        rmse=angles.square().mean().sqrt().item(),
        within_11_25=within_11_25,
        within_22_5=within_22_5,
        within_30=within_30,
    )


def _unit(vectors: Float[Tensor, "pixels 3"]) -> Float[Tensor, "pixels 3"]:
    """At length one, by way of a largest component of one: the square of a tiny length would be zero."""
    scaled = vectors / vectors.abs().amax(-1, keepdim=True)
    return scaled / scaled.norm(dim=-1, keepdim=True)
