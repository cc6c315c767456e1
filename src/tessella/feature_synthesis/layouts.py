"""Label maps as what a generator is given."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from tessella.datasets import IGNORE_INDEX
from tessella.errors import InputError


def one_hot_layout(
    labels: Int[Tensor, "batch height width"], num_classes: int, stride: int = 1
) -> Float[Tensor, "batch layout h w"]:
    """Channel k is 1 where the label is k; the last channel, K, where it is 255 (ignored).

    stride: 2 gives the share of each class in blocks of 2 x 2 pixels.

    Raises InputError for a label that is neither a class nor 255.
    """
    ignored = labels == IGNORE_INDEX
    unknown = ~ignored & ((labels < 0) | (labels >= num_classes))
    if unknown.any():
        raise InputError(
            f"the layout holds label {int(labels[unknown][0])}: the generator knows classes 0 to {num_classes - 1}, "
            f"and {IGNORE_INDEX} for none"
        )
    index = labels.masked_fill(ignored, num_classes)[:, None].long()
    layout = torch.zeros(len(labels), num_classes + 1, *labels.shape[1:], device=labels.device)
    layout = layout.scatter_(1, index, 1.0)
    if stride == 1:
        return layout
    return F.avg_pool2d(layout, stride, ceil_mode=True, count_include_pad=False)
