"""Generators of images, and networks that judge them, with the losses that they learn by."""

from typing import Protocol, TypedDict

import torch
from torch import Tensor, nn

from tessella.adversarial import BicycleGAN
from tessella.image_generation import ConditionEstimator, Embedding, NeighboursLoss, Refinement
from tessella.image_generation.translation import Pix2Pix


class PairBatch(TypedDict):
    """condition: [B, C, H, W] float32. targets: [B, K, 3, H, W] uint8, the condition's own first, then neighbours'.

    present: [B, K], which of them there are.
    """

    condition: Tensor
    targets: Tensor
    present: Tensor


class Learner(Protocol):
    """What is trained, with its losses by name, whose sum is minimised, and its distance on validation images."""

    def losses(self, batch: PairBatch, step: int) -> dict[str, Tensor]: ...

    def distance(self, batch: PairBatch) -> Tensor: ...


class Regression(nn.Module):
    """A generator by refinement.

    warm_up: for so many steps the branches take turns in learning the condition's own image.
    neighbours_from: so many steps learn the condition's own image alone.
    """

    def __init__(
        self, generator: Refinement, loss: NeighboursLoss, *, warm_up: int = 0, neighbours_from: int = 0
    ) -> None:
        super().__init__()
        self.generator, self.loss = generator, loss
        self.find_unused_parameters = generator.find_unused_parameters
        self.warm_up, self.neighbours_from = warm_up, neighbours_from

    def losses(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        targets, present = batch["targets"].float() / 255, batch["present"]
        if step < self.neighbours_from:
            targets, present = targets[:, :1], present[:, :1]
        # A single branch is the best one without a look.
        turn = step < self.warm_up or (self.generator.branches == 1 and targets.shape[1] == 1)
        branch = step % self.generator.branches if turn else None
        return {"distance": self.loss(self.generator, batch["condition"], targets, present, branch)}

    def distance(self, batch: PairBatch) -> Tensor:
        """Of the branch nearest to each image."""
        encoded = self.generator.encode(batch["condition"])
        costs = self.loss.costs(self.generator, encoded, batch["targets"][:, :1].float() / 255)
        return costs[:, :, 0].min(1).values.mean()


class Translation(nn.Module):
    """An adversarial rival."""

    def __init__(self, gan: BicycleGAN | Pix2Pix) -> None:
        super().__init__()
        self.gan = gan

    def losses(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        return vars(self.gan(batch["condition"], batch["targets"][:, 0].float() / 255))

    def distance(self, batch: PairBatch) -> Tensor:
        """Mean L1 of one draw, in shares of the range of grey values."""
        generator = self.gan.generator
        condition = batch["condition"]
        items = torch.arange(len(condition), device=condition.device)
        chance = torch.Generator().manual_seed(0)
        images = generator.decode((condition,), items, generator.draw(len(condition), chance))
        return (images - batch["targets"][:, 0].float() / 255).abs().mean()


class Judge(nn.Module):
    """A network that judges images; see ``judges``."""

    def __init__(self, network: ConditionEstimator | Embedding) -> None:
        super().__init__()
        self.network = network

    def losses(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        return {"judge": self.network.loss(batch["targets"][:, 0].float() / 255, batch["condition"])}

    def distance(self, batch: PairBatch) -> Tensor:
        return self.losses(batch, 0)["judge"]
