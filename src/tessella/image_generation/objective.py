"""Best-neighbour loss and neighbours enhanced loss (thesis, equations 5.4 and 5.5)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tessella.image_generation.matching import Assignment, match
from tessella.image_generation.perceptual import PerceptualDistance
from tessella.image_generation.refinement import Refinement


class NeighboursLoss(nn.Module):
    """Each target trains the branch that is assigned to it; with the item's own target alone this is equation 5.4.

    Which branch that is, is decided without gradients; only the chosen branches are run again with them. So memory and
    the backward pass do not grow with the number of branches. Costs and losses are the same distance.

    Args:
        distance: l of equation 5.6.
        assignment: see ``match``.
        at_once: images that are looked at together.
    """

    def __init__(
        self, distance: PerceptualDistance, assignment: Assignment = "greedy", at_once: int = 64
    ) -> None:
        super().__init__()
        self.distance = distance
        self.assignment: Assignment = assignment
        self.at_once = at_once

    def forward(
        self,
        generator: Refinement,
        conditions: Float[Tensor, "batch channels height width"],
        targets: Float[Tensor, "batch targets 3 height width"],
        present: Bool[Tensor, "batch targets"],
        branch: int | None = None,
    ) -> Float[Tensor, ""]:
        """The mean over the batch.

        targets: 0 to 1, the item's own first. present: which there are. branch: that learns the item's own target,
        whatever the costs, and nothing else is learned: for the first steps, in which a branch that happens to be best
        would else be the only one to learn.
        """
        encoded = generator.encode(conditions)
        codes = generator.training_codes
        if branch is not None:
            items = torch.arange(len(conditions), device=conditions.device)
            found = torch.full_like(items, branch)
            images = generator.decode(encoded, items, codes[found])
            return self.distance(images, targets[:, 0]).mean()
        found = match(self.costs(generator, encoded, targets), present, self.assignment)
        # Older PyTorch would go on with the weights that autocast made without gradients, and train no branch.
        torch.clear_autocast_cache()
        items, which = torch.nonzero(found >= 0, as_tuple=True)
        images = generator.decode(encoded, items, codes[found[items, which]])
        return self.distance(images, targets[items, which]).sum() / len(conditions)

    @torch.no_grad()
    def costs(
        self, generator: Refinement, encoded: tuple[Tensor, ...], targets: Tensor
    ) -> Float[Tensor, "batch branches targets"]:
        """Distances of every branch's image to every target of its item."""
        codes = generator.training_codes
        costs = []
        # As many conditions together as give about ``at_once`` images.
        for items in torch.arange(len(targets), device=targets.device).split(
            max(1, self.at_once // len(codes))
        ):
            number = len(items)
            images = generator.decode(
                encoded, items.repeat_interleave(len(codes)), torch.cat([codes] * number)
            )
            made = self.distance.represent(images)
            wanted = self.distance.represent(targets[items].flatten(0, 1))
            costs.append(self.distance.pairwise(made, wanted, number))
        return torch.cat(costs)
