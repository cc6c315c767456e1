"""Losses over the pixels of a picture."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessella.datasets import IGNORE_INDEX
from tessella.errors import InputError


class SegmentationLoss(nn.Module):
    """Cross-entropy over labelled pixels, of the main logits and, with a smaller weight, of auxiliary ones.

    loss = CE(logits) + auxiliary_weight * sum_i CE(auxiliary_i)   (Zhao et al. 2017: one auxiliary head, weight 0.4)

    class_weights: one factor for each class; the mean is then weighted by them too, as in ``F.cross_entropy``.
    label_smoothing: share of the target mass spread evenly over all classes.
    Pixels of the label 255 do not count. A batch without any labelled pixel has loss 0, not NaN.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        auxiliary_weight: float = 0.4,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing {label_smoothing} must lie in [0, 1)")
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.auxiliary_weight = auxiliary_weight

    def forward(self, logits: Tensor, labels: Tensor, auxiliary: Sequence[Tensor] = ()) -> Tensor:
        """logits and each auxiliary [B, K, H, W], labels [B, H, W] int64 -> scalar."""
        loss = self._cross_entropy(logits, labels)
        for auxiliary_logits in auxiliary:
            loss = loss + self.auxiliary_weight * self._cross_entropy(auxiliary_logits, labels)
        return loss

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.class_weights is not None and len(self.class_weights) != logits.shape[1]:
            raise InputError(
                f"class_weights has {len(self.class_weights)} entries, the network {logits.shape[1]} classes"
            )
        # In float32: half precision loses the small probabilities that the loss is about. Sum and count apart:
        # a batch without labelled pixels would be 0/0.
        total = F.cross_entropy(
            logits.float(),
            labels,
            weight=self.class_weights,
            ignore_index=IGNORE_INDEX,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        valid = labels != IGNORE_INDEX
        weight = valid.sum() if self.class_weights is None else self.class_weights[labels[valid]].sum()
        return total / weight.clamp(min=1e-12)
