"""Implicit semantic data augmentation (Wang et al., NeurIPS 2019; TPAMI 2021): the rival that needs no generator."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError


class ISDA(nn.Module):
    """Logits as if each pixel's feature were moved at random, infinitely often, along its class's covariance.

    For a pixel of class y, logit k grows by strength / 2 * (w_k - w_y)' C_y (w_k - w_y): cross-entropy of these is an
    upper bound of the expected one (their equation 9). C_y [F, F] is estimated along the way, from features before the
    classifier and labels at the features' resolution. The added term depends on y and k alone: a table of K x K
    numbers, so that it costs next to nothing.

    Args:
        classifier: the 1x1 convolution from features to logits.
        strength: at the end of training; it grows with ``progress``.
    """

    count: Tensor
    mean: Tensor
    covariance: Tensor

    def __init__(self, classifier: nn.Conv2d, strength: float) -> None:
        super().__init__()
        if strength < 0:
            raise InputError(f"isda {strength}: give 0 or more")
        self.strength = strength
        self._classifier = [classifier]  # in a list: it is the network's module, not this one's
        self._features: Tensor | None = None
        classes, width = classifier.weight.shape[:2]
        self.register_buffer("count", torch.zeros(classes))
        self.register_buffer("mean", torch.zeros(classes, width))
        self.register_buffer("covariance", torch.zeros(classes, width, width))
        classifier.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0].detach() if module.training else None

    def forward(
        self,
        logits: Float[Tensor, "batch classes height width"],
        labels: Int[Tensor, "batch height width"],
        progress: float,
    ) -> Tensor:
        """progress: from 0 to 1. Takes in the features of the forward pass before. Labels that are no class, such as
        255, teach nothing, and what their logits grow by means nothing.
        """
        if self._features is None:
            return logits
        self._estimate(self._features.float(), labels)
        table = self._table(self._classifier[0].weight.flatten(1).float())
        known = labels.long().where((labels >= 0) & (labels < len(table)), 0)
        added = table[known].permute(0, 3, 1, 2)
        return logits.float() + 0.5 * self.strength * progress * added

    def _table(self, weight: Float[Tensor, "classes width"]) -> Float[Tensor, "classes classes"]:
        """Row y, column k: (w_k - w_y)' C_y (w_k - w_y)."""
        difference = weight[None] - weight[:, None]
        return torch.einsum("ykf,yfg,ykg->yk", difference, self.covariance, difference)

    @torch.no_grad()
    def _estimate(self, features: Float[Tensor, "batch width h w"], labels: Tensor) -> None:
        small = F.interpolate(labels[:, None].float(), features.shape[-2:], mode="nearest-exact")[:, 0].long()
        values = features.permute(0, 2, 3, 1)
        for label in small.unique().tolist():
            if not 0 <= label < len(self.count):
                continue
            new = values[small == label]
            # Means and covariances of both parts, joined (their equations 3 to 5).
            share = len(new) / (self.count[label] + len(new))
            gap = new.mean(0) - self.mean[label]
            centred = new - new.mean(0)
            spread = centred.T @ centred / len(new)
            old = self.covariance[label]
            self.covariance[label] = (
                (1 - share) * old + share * spread + share * (1 - share) * torch.outer(gap, gap)
            )
            self.mean[label] += share * gap
            self.count[label] += len(new)
