"""Any segmentation network as an encoder and a decoder, cut at a named layer.

The network's own forward pass is traced (torch.fx) down to the cut, so that each half runs what it needs and nothing
else. A network that cannot be traced is run by hooks: encoding stops at the cut, decoding runs the whole network on an
empty image and puts the feature in its place.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from tessella.errors import InputError
from tessella.feature_synthesis.hooked import Hooked
from tessella.feature_synthesis.traced import Traced
from tessella.networks.auxiliary import logits_and_auxiliary

Side = Literal["output", "input"]
Outputs = tuple[Tensor, tuple[Tensor, ...]]
"""Logits [B, K, H, W], and those of auxiliary heads."""


@dataclass(frozen=True)
class Split:
    """The two halves of a network; give your own pair where ``split`` cannot make them.

    encode: images [B, C, H, W] to features [B, F, h, w].
    decode_all: features and the images' (height, width) to logits [B, K, H, W] and those of auxiliary heads.
    """

    encode: Callable[[Tensor], Tensor]
    decode_all: Callable[[Tensor, tuple[int, int]], Outputs]

    def decode(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Features [B, F, h, w] to logits [B, K, *size]."""
        return self.decode_all(features, size)[0]


def split(network: nn.Module, at: str, side: Side = "output") -> Split:
    """``network`` as encoder and decoder; decoding what was encoded gives the network's answer, bit by bit.

    at: a name from ``network.named_modules()``, or "" for the image itself: then the network is all decoder.
    side: whether the features are what comes out of that module, or what goes into it, at its last call. Before a
    rectifier (its input) features know more than behind it.

    The halves share the network's weights and follow its mode (training or evaluation). Logits of auxiliary heads are
    those of ``network.forward_with_auxiliary`` that lie behind the cut, where there is that method.

    Raises:
        InputError: no such module, or one that is not called; it does not give one map; something else of the image
            reaches behind the cut (a skip connection), which the message names; the network's answer is not one map of
            logits. Where the network had to be run by hooks, it is raised at the first call.
    """
    whole = _Whole(network)
    if not at:
        return Split(lambda images: images, lambda images, _: whole(images))
    modules = dict(network.named_modules())
    if at not in modules:
        near = difflib.get_close_matches(at, modules, n=3, cutoff=0.3)
        raise InputError(
            f"the network has no layer {at}; the nearest are {', '.join(near) or ', '.join(modules)}"
        )
    traced, hooked = Traced(whole, at, side), Hooked(whole, modules[at], at, side)

    def halves() -> Traced | Hooked:
        return hooked if traced.halves() is None else traced  # which may depend on the mode

    halves()  # a cut that cannot be made is told at once
    return Split(
        lambda images: halves().encode(images), lambda features, size: halves().decode_all(features, size)
    )


class _Whole(nn.Module):
    """Gives logits and auxiliary logits, whatever the network offers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Outputs:
        return logits_and_auxiliary(self.network, image)
