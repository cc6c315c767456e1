"""What every backbone offers to every network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError


class Backbone(nn.Module):
    """A feature extractor of four stages.

    Built as ``builder(in_channels=3, output_stride=8)``. Its forward takes an image ``[B, C, H, W]`` of any
    height and width and returns four maps, ``maps[i]`` with ``channels[i]`` channels, at strides 4, 8, 16 and
    32. With an output stride of 16 or 8, later stages stay at that stride and dilate their convolutions
    instead. Heights and widths are rounded up: at stride s a map has ``ceil(H / s)`` rows.

    Any module that behaves so serves; deriving from this class is for type checkers.
    """

    channels: tuple[int, ...]


class ChainBackbone(Backbone, ABC):
    """A backbone whose modules are called one after the other: each map is made of the one before it alone.

    recall: where set, gives the first maps of an image, with as many of them as it knows (see
    ``tessella.networks.frozen``).
    """

    recall: Callable[[Tensor], Sequence[Tensor]] | None = None

    @abstractmethod
    def stages(self) -> list[list[nn.Module]]:
        """The modules that make each of the four maps, the first from the image."""

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        maps = list(self.recall(image)) if self.recall is not None else []
        return maps + self.run(maps[-1] if maps else image, len(maps))

    def run(self, x: Tensor, first: int = 0, last: int = 4) -> list[Tensor]:
        """Maps ``first`` to ``last - 1`` from the one before them, or from the image."""
        maps = []
        for stage in self.stages()[first:last]:
            for module in stage:
                x = module(x)
            maps.append(x)
        return maps


BackboneBuilder = Callable[..., Backbone]
"""Called with ``in_channels`` and ``output_stride``, e.g. ``functools.partial(ResNet, depth=18)``."""


def stage_strides(output_stride: int) -> tuple[int, int, int]:
    """Strides of the stages that follow the one at stride 4.

    Raises:
        InputError: the output stride is not 8, 16 or 32.
    """
    strides = {8: (2, 1, 1), 16: (2, 2, 1), 32: (2, 2, 2)}
    if output_stride not in strides:
        raise InputError(f"output_stride is {output_stride}: choose 8, 16 or 32")
    return strides[output_stride]


def initialise_convolutions(module: nn.Module) -> None:
    """Draw convolution weights as He et al. (2015) do for rectifiers, by fan-out; set biases to zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
