"""One forward pass over a whole image, leaving the network as it was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.precision import full_precision

Predict = Callable[[Tensor], Tensor]
"""From a float image [B, C, H, W] to scores [B, K, H, W]: posteriors, or logits."""


def logits(
    network: nn.Module,
    image: Float[Tensor, "batch channels height width"],
    *,
    autocast: torch.dtype | None = None,
) -> Float[Tensor, "batch classes height width"]:
    """The network's output for whole images, in evaluation mode and without gradients.

    The image is taken to the device and the floating-point type of the network's parameters; the result lies
    on the device of ``image`` and is float32 at least. ``autocast`` names the type that the network's
    operations run in where they can, e.g. ``torch.bfloat16``. Every module's training flag is restored, also
    after an error.

    Raises InputError where ``image`` is not a float tensor of four axes, or the network does not return one
    tensor of the image's size.
    """
    # A copy made outside of inference mode is an ordinary tensor: callers may use it in training.
    output = _forward(network, image, autocast)
    return output.to(image.device, torch.promote_types(output.dtype, torch.float32), copy=True)


def posteriors(
    network: nn.Module,
    image: Float[Tensor, "batch channels height width"],
    *,
    autocast: torch.dtype | None = None,
) -> Float[Tensor, "batch classes height width"]:
    """Softmax of ``logits`` over the classes."""
    output = _forward(network, image, autocast)
    return full_precision(output.to(image.device)).softmax(1)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every module has its own training flag again."""
    # The flags are set one by one: `eval()` is overridden by modules that convert themselves, and refused by
    # exported programs.
    flags = [(module, module.training) for module in network.modules()]
    for module, _ in flags:
        module.training = False
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


def _forward(network: nn.Module, image: Tensor, autocast: torch.dtype | None) -> Tensor:
    if image.ndim != 4 or not image.is_floating_point():
        raise InputError(
            f"image: {image.dtype} of shape {list(image.shape)}; give a normalised float tensor [B, C, H, W]"
        )
    like = next((p for p in network.parameters() if p.is_floating_point()), image)
    with (
        evaluation_mode(network),
        torch.inference_mode(),
        torch.autocast(like.device.type, autocast, enabled=autocast is not None),
    ):
        output = network(image.to(like.device, like.dtype))
    if not isinstance(output, Tensor):
        raise InputError(
            f"network: returned {type(output).__name__}; wrap it so that it returns logits [B, K, H, W]"
        )
    if output.ndim != 4 or output.shape[0] != image.shape[0] or output.shape[2:] != image.shape[2:]:
        raise InputError(
            f"network: returned shape {list(output.shape)} for an image of shape {list(image.shape)}; "
            "it must return logits [B, K, H, W] of the image's size"
        )
    return output
