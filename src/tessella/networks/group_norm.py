"""Group normalisation in place of batch normalisation, for training in which no image may see another."""

from torch import nn

CHANNELS = 16
"""In a group, at least: one of the two numbers that Wu and He (Group normalization, ECCV 2018, table 3) find best."""


def with_group_norm(network: nn.Module) -> nn.Module:
    """``network`` with every batch normalisation, of whatever kind, replaced by ``group_norm``."""
    if isinstance(network, nn.modules.batchnorm._BatchNorm):
        return group_norm(network)
    for name, child in network.named_children():
        setattr(network, name, with_group_norm(child))
    return network


def group_norm(batch_norm: nn.modules.batchnorm._BatchNorm) -> nn.GroupNorm:
    """The same weight and bias; groups of 16 channels, or of the next larger number that divides the channels.

    Fewer than 16 channels, or a prime number of them, are one group.
    """
    channels = batch_norm.num_features
    size = next(size for size in range(min(CHANNELS, channels), channels + 1) if channels % size == 0)
    result = nn.GroupNorm(channels // size, channels, batch_norm.eps, batch_norm.affine)
    result.load_state_dict(batch_norm.state_dict(), strict=False)
    return result
