"""Adding up what several processes have counted."""

import torch
from jaxtyping import Num
from torch import Tensor


def sum_over_processes(counts: Num[Tensor, "..."]) -> Num[Tensor, "..."]:
    """The sum of `counts` over the processes of torch.distributed; a copy where it is not initialised."""
    total = counts.clone()
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return total
    # NCCL moves only what lies on the GPU.
    if "nccl" in distributed.get_backend():
        total = total.cuda()
    distributed.all_reduce(total)
    return total.to(counts.device)
