"""A network with learnable dilation as a class that a configuration can name."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from tessella.dilation.convert import RANGES, make_dilation_learnable
from tessella.networks.auxiliary import logits_and_auxiliary


class LearnableDilation(nn.Module):
    """Any network, its dilated convolutions made learnable.

    Args:
        num_classes: classes to tell apart.
        in_channels: channels of the image.
        network: builds the network from these two.
        ranges: (dilation, lowest factor, highest factor) of the layers to convert.
        initial: constant, at each layer's own dilation; uniform in the range; a number; or (layer, number) pairs.
        per_channel: whether every input channel has a factor of its own, not every layer.
        within: prefixes of the names of the layers to convert.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        network: Callable[..., nn.Module],
        ranges: tuple[tuple[int, float, float], ...] = tuple((d, *bounds) for d, bounds in RANGES.items()),
        initial: Literal["constant", "uniform"] | float | tuple[tuple[str, float], ...] = "constant",
        per_channel: bool = True,
        within: tuple[str, ...] = ("",),
    ) -> None:
        super().__init__()
        self.network = make_dilation_learnable(
            network(num_classes, in_channels),
            {dilation: (low, high) for dilation, low, high in ranges},
            within=within,
            initial=dict(initial) if isinstance(initial, tuple) else initial,
            per_channel=per_channel,
        )

    @property
    def backbone(self) -> nn.Module | None:
        """The network's, which learns at the base rate and takes the weights of a backbone's file."""
        return getattr(self.network, "backbone", None)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Tensor:
        return self.network(image)

    def forward_with_auxiliary(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As the network's own, or with nothing auxiliary where it has none."""
        return logits_and_auxiliary(self.network, image)
