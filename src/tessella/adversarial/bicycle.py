"""The objective of BicycleGAN (Zhu et al., NeurIPS 2017), for images or features of a condition."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tessella.adversarial.encoder import CodeEncoder
from tessella.adversarial.losses import kl_to_standard_normal, least_squares
from tessella.precision import full_precision


@dataclass(frozen=True)
class GanLosses:
    """All terms of a step, weighted; ``total`` trains every network at once."""

    adversarial: Tensor
    reconstruction: Tensor
    kl: Tensor
    latent: Tensor
    discrimination: Tensor

    @property
    def total(self) -> Tensor:
        return self.adversarial + self.reconstruction + self.kl + self.latent + self.discrimination


class BicycleGAN(nn.Module):
    """Generator, encoder and two discriminators, trained to make what conditions could have led to.

    cVAE-GAN: the code comes from the real target, which is to be made again (L1). cLR-GAN: the code is random, and is
    to be found again in what is made from it; this updates the generator alone. Each has a discriminator of its own
    (least squares).

    Generator and discriminators step together, each from the other's former state: the order of the authors' code,
    where the discriminator too sees what was made before the generator's step. So one backward pass and one
    optimiser serve all four networks.

    Args:
        generator: has ``encode_condition(conditions, size)``, ``from_encoded(encoded, codes)``, which makes targets in
            units of about 1, and ``standardise(targets)``, which brings real ones to these units.
        encoder: from a standardised target to its code.
        variational, random: have ``encode_condition(conditions, size)``, and judge (encoded, standardised target).
        reconstruction, kl, latent: weights of these terms.
    """

    generator: Any
    encoder: CodeEncoder

    def __init__(
        self,
        generator: nn.Module,
        encoder: CodeEncoder,
        variational: nn.Module,
        random: nn.Module,
        *,
        reconstruction: float = 10.0,
        kl: float = 0.01,
        latent: float = 0.5,
    ) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.discriminators = nn.ModuleList([variational, random])
        self.reconstruction, self.kl, self.latent = reconstruction, kl, latent

    def forward(self, conditions: Tensor, targets: Tensor) -> GanLosses:
        """conditions [B, K, H, W] and the targets [B, C, h, w] there, in their own units."""
        size = (targets.shape[-2], targets.shape[-1])
        real = self.generator.standardise(targets)
        mean, log_variance = self.encoder(real)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        random_code = torch.randn_like(mean)
        encoded = self.generator.encode_condition(conditions, size)
        fakes = self.generator.from_encoded(
            torch.cat([encoded, encoded]), torch.cat([code, random_code])
        ).chunk(2)
        with frozen(self.encoder):
            found, _ = self.encoder(fakes[1])
        adversarial, discrimination = zip(
            *(
                play(discriminator, conditions, real, fake)
                for discriminator, fake in zip(self.discriminators, fakes, strict=True)
            ),
            strict=True,
        )
        return GanLosses(
            torch.stack(adversarial).sum(),
            self.reconstruction * (full_precision(fakes[0]) - real).abs().mean(),
            self.kl * kl_to_standard_normal(mean, log_variance),
            self.latent * (found - random_code).abs().mean(),
            torch.stack(discrimination).sum(),
        )


def play(discriminator: nn.Module, conditions: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss and the discriminator's (least squares)."""
    size = (real.shape[-2], real.shape[-1])
    encoded = discriminator.encode_condition(conditions, size)  # type: ignore[operator]
    with frozen(discriminator):
        deceived = least_squares(discriminator(encoded.detach(), fake), real=True)
    both = discriminator(torch.cat([encoded, encoded]), torch.cat([real.to(fake.dtype), fake.detach()]))
    of_real, of_fake = zip(*(scores.chunk(2) for scores in both), strict=True)
    return deceived, (least_squares(of_real, real=True) + least_squares(of_fake, real=False)) / 2


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass through, but not into its weights."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
