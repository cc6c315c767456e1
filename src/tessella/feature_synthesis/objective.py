"""The objective of BicycleGAN (Zhu et al., NeurIPS 2017) for features of layouts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tessella.adversarial import CodeEncoder, kl_to_standard_normal, least_squares
from tessella.adversarial.layers import full_precision
from tessella.feature_synthesis.generator import FeatureDiscriminator, FeatureGenerator


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
    """Generator, encoder and two discriminators, trained to make features that layouts could have.

    cVAE-GAN: the code comes from the real feature, which is to be made again (L1). cLR-GAN: the code is random, and is
    to be found again in the feature made from it; this updates the generator alone. Each has a discriminator of its own
    (least squares).

    Generator and discriminators step together, each from the other's former state: the order of the authors' code,
    where the discriminator too sees the features made before the generator's step. So one backward pass and one
    optimiser serve all four networks.

    reconstruction, kl, latent: weights of these terms.
    """

    def __init__(
        self,
        generator: FeatureGenerator,
        encoder: CodeEncoder,
        variational: FeatureDiscriminator,
        random: FeatureDiscriminator,
        *,
        reconstruction: float = 10.0,
        kl: float = 0.01,
        latent: float = 0.5,
    ) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.discriminators = nn.ModuleList([variational, random])
        self.reconstruction, self.kl, self.latent = reconstruction, kl, latent

    def forward(self, layouts: Tensor, features: Tensor) -> GanLosses:
        """layouts [B, K + 1, H, W] and the features [B, C, h, w] that the network has there, in its own units."""
        size = (features.shape[-2], features.shape[-1])
        real = self.generator.standardise(features)
        mean, log_variance = self.encoder(real)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        random_code = torch.randn_like(mean)
        encoded = self.generator.encode_layouts(layouts, size)
        fakes = self.generator.from_encoded(
            torch.cat([encoded, encoded]), torch.cat([code, random_code])
        ).chunk(2)
        with _frozen(self.encoder):
            found, _ = self.encoder(fakes[1])
        adversarial, discrimination = zip(
            *(
                _play(discriminator, layouts, real, fake)
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


def _play(discriminator: nn.Module, layouts: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss and the discriminator's."""
    size = (real.shape[-2], real.shape[-1])
    encoded = discriminator.encode_layouts(layouts, size)  # type: ignore[operator]
    with _frozen(discriminator):
        deceived = least_squares(discriminator(encoded.detach(), fake), real=True)
    both = discriminator(torch.cat([encoded, encoded]), torch.cat([real.to(fake.dtype), fake.detach()]))
    of_real, of_fake = zip(*(scores.chunk(2) for scores in both), strict=True)
    return deceived, (least_squares(of_real, real=True) + least_squares(of_fake, real=False)) / 2


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass through, but not into its weights."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
