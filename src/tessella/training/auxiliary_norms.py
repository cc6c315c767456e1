"""Batch normalisation for inputs of a second kind (Xie et al., Adversarial examples improve recognition, CVPR 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """All layers of batch normalisation of a network, in the order of its modules."""
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


class AuxiliaryNorms(nn.Module):
    """A second scale and shift for every batch normalisation of ``network``; both begin as the first ones are.

    What differs between two kinds of input can be learned here, so that the convolutions that they share need not.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        layers = [layer for layer in batch_norms(network) if layer.affine]
        self.scales = nn.ParameterList(layer.weight.detach().clone() for layer in layers)
        self.shifts = nn.ParameterList(layer.bias.detach().clone() for layer in layers)

    def twins(self, network: nn.Module) -> dict[nn.Parameter, nn.Parameter]:
        """The second scale or shift of each first one."""
        layers = [layer for layer in batch_norms(network) if layer.affine]
        first = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        return dict(zip(first, [*self.scales, *self.shifts], strict=True))

    @contextmanager
    def within(self, network: nn.Module) -> Iterator[None]:
        """Within, ``network`` has these scales and shifts, and goes by the statistics of the batch."""
        layers = [layer for layer in batch_norms(network) if layer.affine]
        kept = [(layer.weight, layer.bias, layer.training) for layer in layers]
        for layer, scale, shift in zip(layers, self.scales, self.shifts, strict=True):
            layer.weight, layer.bias, layer.training = scale, shift, True
        try:
            yield
        finally:
            for layer, (scale, shift, training) in zip(layers, kept, strict=True):
                layer.weight, layer.bias, layer.training = scale, shift, training

    def nothing(self) -> Tensor:
        """A zero that depends on all: of layers that no input passes the gradient is 0, not missing."""
        return sum(parameter.sum() for parameter in self.parameters()) * 0  # type: ignore[return-value]
