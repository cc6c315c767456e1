"""Which branch learns which target (thesis, section 5.2.2)."""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tessella.errors import InputError

Assignment = Literal["greedy", "hungarian"]


def match(
    costs: Float[Tensor, "batch branches targets"],
    present: Bool[Tensor, "batch targets"] | None = None,
    assignment: Assignment = "greedy",
) -> Int[Tensor, "batch targets"]:
    """The branch of each target, no two of an item the same; -1 where there is no target.

    Target 0 is the item's own and gets its best branch. Of the others each picks the best branch that is left; of those
    that pick the same the cheapest gets it, and the rest picks again. All items are matched at once.

    present: which targets there are; all, by default. assignment: "hungarian" gives targets 1, 2, ... the assignment of
    least total cost instead.

    Raises InputError where there are fewer branches than targets, and for an assignment that there is not.
    """
    if assignment not in get_args(Assignment):
        raise InputError(f"assignment {assignment}: give {' or '.join(get_args(Assignment))}")
    batch, branches, targets = costs.shape
    if targets > branches:
        raise InputError(
            f"{targets} targets for {branches} branches: give fewer neighbours, or more branches"
        )
    if present is None:
        present = torch.ones(batch, targets, dtype=torch.bool, device=costs.device)
    # What is not finite is dear, but still matched: the loss then says that training broke.
    costs = costs.detach().float().nan_to_num(nan=torch.finfo(torch.float32).max)
    found = costs.new_full((batch, targets), -1, dtype=torch.long)
    found[:, 0] = costs[:, :, 0].argmin(1)
    costs = costs.scatter(1, found[:, :1, None].expand(-1, -1, targets), torch.inf)
    if assignment == "hungarian":
        return _cheapest(costs, found, present)
    waiting = present.clone()
    waiting[:, 0] = False
    while waiting.any():
        least, picked = costs.min(1)  # [B, K]: the best branch that is left
        least = least.masked_fill(~waiting, torch.inf)
        same = picked[:, :, None] == picked[:, None, :]
        rivals = torch.where(same & waiting[:, None, :], least[:, None, :], torch.inf)
        # The first of equally cheap ones.
        wins = waiting & (rivals.argmin(2) == torch.arange(targets, device=costs.device))
        found = torch.where(wins, picked, found)
        item, target = torch.nonzero(wins, as_tuple=True)
        costs[item, found[item, target]] = torch.inf
        waiting &= ~wins
    return found


def _cheapest(costs: Tensor, found: Tensor, present: Tensor) -> Tensor:
    for item in range(len(costs)):
        others = torch.nonzero(present[item, 1:]).flatten().cpu() + 1
        left = torch.nonzero(torch.isfinite(costs[item, :, 0])).flatten().cpu()
        part = costs[item].cpu()[left][:, others]
        rows, columns = linear_sum_assignment(part.numpy())
        found[item, others[columns]] = left[rows].to(found.device)
    return found
