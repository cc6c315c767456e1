"""What a network makes of a batch."""

from collections.abc import Callable

from torch import Tensor, nn

from tessella.datasets.loading import Batch
from tessella.networks.auxiliary import logits_and_auxiliary

Forward = Callable[[nn.Module, Batch], tuple[Tensor, tuple[Tensor, ...]]]
"""A network and a batch to logits [B, K, H, W] and those of auxiliary heads."""


def logits_of_images(network: nn.Module, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Of each image by itself; in training with the auxiliary heads, where the network has any."""
    if network.training:
        return logits_and_auxiliary(network, batch["image"])
    return network(batch["image"]), ()
