"""Auxiliary heads, of networks that may have none."""

from torch import Tensor, nn


def logits_and_auxiliary(network: nn.Module, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """[B, C, H, W] to logits [B, K, H, W], and those of ``network.forward_with_auxiliary`` where it has that method."""
    if hasattr(network, "forward_with_auxiliary"):
        return network.forward_with_auxiliary(image)  # type: ignore[operator]
    return network(image), ()
