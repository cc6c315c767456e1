"""How precisely to count."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """float32 where it is less: sums of many terms need it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
