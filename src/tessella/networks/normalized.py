"""A network that takes pictures as they come from a file."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.auxiliary import logits_and_auxiliary

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def to_float(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 or uint16 picture on the scale 0 to 1; a floating-point one stays as it is.

    Raises InputError for other types, of which nobody knows what white is.
    """
    if image.is_floating_point():
        return image
    top = {torch.uint8: 255, torch.uint16: 65535}.get(image.dtype)
    if top is None:
        raise InputError(f"the picture is {image.dtype}: give uint8, uint16 or floating point from 0 to 1")
    return image.to(dtype) / top


class Normalized(nn.Module):
    """Scale pictures to [0, 1], normalise each channel, and hand them to ``network``.

    Accepts [B, C, H, W] uint8 (0 to 255), uint16 (0 to 65535) or floating point (0 to 1). Mean and standard
    deviation are buffers: they travel with the ``state_dict`` and into an exported file, so that no user can
    forget them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise InputError(f"mean {tuple(mean)} and std {tuple(std)} need one positive std for each mean")
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    @property
    def backbone(self) -> nn.Module | None:
        """The network's pretrained part, if it names one."""
        backbone = getattr(self.network, "backbone", None)
        return backbone if isinstance(backbone, nn.Module) else None

    def normalize(self, image: Tensor) -> Tensor:
        """[B, C, H, W] picture to zero mean and unit deviation in each channel, as floating point."""
        image = to_float(image, self.mean.dtype)
        if image.shape[1] != self.mean.shape[1]:
            raise InputError(
                f"the network takes images of {self.mean.shape[1]} channels, this one has {image.shape[1]}"
            )
        return (image - self.mean) / self.std

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] picture to logits [B, K, H, W]."""
        logits: Tensor = self.network(self.normalize(image))
        return logits

    def forward_with_auxiliary(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and those of the auxiliary heads (none where the network has none)."""
        return logits_and_auxiliary(self.network, self.normalize(image))
