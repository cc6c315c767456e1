"""A network's logits of several views of a scene, brought together in the first of them."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Network = Callable[[Tensor], tuple[Tensor, tuple[Tensor, ...]]]
"""Images [B, C, H, W] to logits [B, K, H, W] and those of auxiliary heads."""

Pooling = Callable[[Tensor, Tensor], Tensor]
"""Features [N, C, H, W] of N views and regions [L, N, H, W] to features [C, H, W] of the first view."""


def views_of(
    image: Float[Tensor, "batch channels height width"],
    neighbours: Float[Tensor, "batch others channels height width"] | None,
) -> Float[Tensor, "batch views channels height width"]:
    """The target's image, then its neighbours, if any."""
    return image[:, None] if neighbours is None else torch.cat([image[:, None], neighbours], dim=1)


def pool_views(
    logits: Float[Tensor, "batch views classes height width"],
    regions: Int[Tensor, "batch views levels height width"],
    pooling: Pooling,
) -> Float[Tensor, "batch classes height width"]:
    """Each target's logits, brought together with those of its other views."""
    return torch.stack([pooling(own, r.transpose(0, 1)) for own, r in zip(logits, regions, strict=True)])


def logits_of_views(
    network: Network,
    views: Float[Tensor, "batch views channels height width"],
    regions: Int[Tensor, "batch views levels height width"],
    pooling: Pooling,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Pooled logits [B, K, H, W] of the targets, and the auxiliary logits of their images alone.

    recompute: one view at a time, its activations computed again for its gradient: the memory of a single view, for one
        more forward pass, and the same result but for normalisation by the statistics of a batch.
    """
    flat = views.flatten(0, 1)
    if recompute:
        run = partial(checkpoint, network, use_reentrant=False)
        outputs = [run(view) for view in flat.split(1)]
        logits = torch.cat([output[0] for output in outputs])
        auxiliary = tuple(torch.cat(same) for same in zip(*(output[1] for output in outputs), strict=True))
    else:
        logits, auxiliary = network(flat)
    each = views.shape[1]
    pooled = pool_views(logits.unflatten(0, (-1, each)), regions, pooling)
    return pooled, tuple(x[::each] for x in auxiliary)
