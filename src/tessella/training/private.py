"""The Lightning task that trains with differential privacy, by Opacus' optimiser and accountant."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from opacus.accountants import RDPAccountant
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tessella.datasets.loading import Batch
from tessella.errors import InputError
from tessella.training.segmentation import SegmentationTask


class PrivateTask(SegmentationTask):
    """DP-SGD (Abadi et al., Deep learning with differential privacy, CCS 2016) on batches drawn by Poisson sampling.

    An image's gradient is shortened to norm ``clip``; to the sum of a batch comes Gaussian noise of deviation
    ``noise * clip``, and the result is divided by the expected size of a batch. Images pass through the network one by
    one, which takes the memory of one, any kind of layer, and no more time than gradients of each image in a batch.

    batch_size: images that are expected in a batch. images: that there are. delta: see ``spent``.
    What ``SegmentationTask`` takes besides is the same. A batch is a list of batches of one image each.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        configure: Callable[[nn.Module], tuple[Optimizer, LRScheduler]],
        num_classes: int,
        seed: int,
        *,
        noise: float,
        clip: float,
        batch_size: int,
        images: int,
        delta: float,
    ) -> None:
        super().__init__(network, loss, configure, num_classes, seed)
        self.automatic_optimization = False
        self.noise, self.clip, self.delta = noise, clip, delta
        self.batch_size, self.rate = batch_size, batch_size / images
        self.accountant = RDPAccountant()

    def on_train_start(self) -> None:
        torch.seed()  # Noise that can be repeated can be taken away: it does not come from the seed, nor does dropout.

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Nothing begins anew from the seed."""

    def training_step(self, batch: list[Batch], batch_idx: int) -> None:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        losses = self.set_gradient(optimizer.optimizer, batch)
        optimizer.step()
        self.accountant.step(noise_multiplier=self.noise, sample_rate=self.rate)
        if losses:
            self.log_step(torch.stack(losses).mean())
        self.lr_schedulers().step()  # type: ignore[union-attr]

    def set_gradient(self, optimizer: Optimizer, batch: list[Batch]) -> list[Tensor]:
        """Put the private gradient of ``batch`` into the parameters; the loss of each image."""
        private = DPOptimizer(
            optimizer,
            noise_multiplier=self.noise,
            max_grad_norm=self.clip,
            expected_batch_size=self.batch_size,
        )
        losses = []
        for parameter in private.params:  # no image at all has a gradient too
            parameter.grad_sample = torch.zeros_like(parameter)[None]
        private.clip_and_accumulate()
        for image in batch:
            loss = self.loss_of(image)
            gradients = torch.autograd.grad(loss, private.params, allow_unused=True, materialize_grads=True)
            for parameter, gradient in zip(private.params, gradients, strict=True):
                parameter.grad_sample = gradient[None]
            private.clip_and_accumulate()
            losses.append(loss.detach())
        private.add_noise()
        private.scale_grad()
        return losses

    def epsilon(self) -> float:
        """Of all steps so far, at ``delta``, by Rényi differential privacy (Mironov et al. 2019); may be infinite."""
        with warnings.catch_warnings():  # that other orders would give a smaller one
            warnings.filterwarnings("ignore", message="Optimal order is")
            return max(0.0, self.accountant.get_epsilon(self.delta))

    def spent(self) -> dict[str, Any]:
        """What an onlooker can learn of any one image, as plain values for a file. epsilon: None if infinite."""
        epsilon = self.epsilon()
        finite = epsilon < float("inf")
        bound = f"epsilon {epsilon:.3g} at delta {self.delta:.2g}, for one image more or less"
        return {
            "guarantee": bound if finite else "none: without noise epsilon is infinite",
            "epsilon": epsilon if finite else None,
            "delta": self.delta,
            "noise, rate, steps": [list(part) for part in self.accountant.history],
            "clip": self.clip,
        }

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("epsilon", self.epsilon())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["privacy"] = self.spent()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "privacy" not in checkpoint:
            raise InputError("privacy: this run was begun without; begin anew in another --out")
        self.accountant.history = [tuple(part) for part in checkpoint["privacy"]["noise, rate, steps"]]
