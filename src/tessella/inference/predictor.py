"""A network and a plan become a black box: images to posteriors."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.inference.multi_scale import check_scales, multi_scale
from tessella.inference.sliding_window import Windows, sliding_window
from tessella.inference.whole_image import Predict, logits, posteriors

Average = Literal["posteriors", "logits"]
Precision = Literal["network", "bfloat16", "float16"]


@dataclass(frozen=True)
class InferencePlan:
    """What is done to an image besides one forward pass; the default is one forward pass.

    windows: slide a window over the image instead of taking it whole.
    scales, flip: average over resized and mirrored copies; windows keep their size at every scale.
    average: of ``posteriors``, or of ``logits`` with the softmax taken last.
    precision: type of the network's operations: its own, or mixed precision with this one.
    """

    windows: Windows | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    average: Average = "posteriors"
    precision: Precision = "network"

    def __post_init__(self) -> None:
        check_scales(self.scales)
        if self.average not in get_args(Average):
            raise InputError(f"average: {self.average!r}; give one of {get_args(Average)}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision: {self.precision!r}; give one of {get_args(Precision)}")


@dataclass(frozen=True)
class Predictor:
    """From float images [B, C, H, W] to posteriors [B, K, H, W] on the same device, float32 at least."""

    network: nn.Module
    plan: InferencePlan = field(default_factory=InferencePlan)

    def __call__(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        scores = self._scores(image)
        return scores.softmax(1) if self.plan.average == "logits" else scores

    def log_posteriors(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        """Logarithms of the posteriors, but for a number at each pixel where the plan averages logits: those then."""
        scores = self._scores(image)
        # Below what float32 tells apart from 1 a probability says no more; its logarithm would be without bound.
        return scores if self.plan.average == "logits" else scores.clamp(min=1e-8).log()

    def _scores(self, image: Tensor) -> Tensor:
        plan = self.plan
        forward = logits if plan.average == "logits" else posteriors
        autocast = None if plan.precision == "network" else getattr(torch, plan.precision)
        predict: Predict = partial(forward, self.network, autocast=autocast)
        if plan.windows is not None:
            predict = partial(sliding_window, predict, windows=plan.windows)
        return multi_scale(predict, image, plan.scales, plan.flip)
