"""The adversarial rivals: pix2pix (Isola et al., CVPR 2017) and BicycleGAN (Zhu et al., NeurIPS 2017) for images."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.adversarial import BicycleGAN, CodeEncoder, GanLosses, PatchDiscriminator, UNet
from tessella.adversarial.bicycle import play
from tessella.errors import InputError
from tessella.image_generation.refinement import require_code_shape, require_conditions, require_number
from tessella.precision import full_precision

SMALLEST = 32
"""Height and width of which the coarsest of six stages is one pixel."""


class Translator(nn.Module):
    """A U-Net from conditions to images; draws by a normal code at each layer, or by dropout where there is none.

    It has ``encode`` and ``decode`` as generators by refinement do, and what ``BicycleGAN`` asks of a generator.

    Args:
        condition_channels: of the condition.
        widths: of the U-Net, from full resolution on.
        code_channels: 8 for BicycleGAN; 0 for pix2pix, whose only chance is dropout behind the three coarsest
            stages of the decoder, which stays on at inference.
    """

    def __init__(
        self,
        condition_channels: int,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512),
        code_channels: int = 8,
    ) -> None:
        super().__init__()
        self.condition_channels, self.code_channels = condition_channels, code_channels
        self.unet = UNet(condition_channels, 3, widths, code_channels)
        if not code_channels:
            for coarse in self.unet.up[:3]:
                coarse.register_forward_hook(_drop)

    def encode_condition(self, conditions: Tensor, size: tuple[int, int]) -> Tensor:
        return conditions

    def from_encoded(self, conditions: Tensor, codes: Tensor) -> Tensor:
        images: Tensor = self.unet(conditions, codes if self.code_channels else None)
        return images.tanh()

    @staticmethod
    def standardise(images: Tensor) -> Tensor:
        return images * 2 - 1

    def draw(self, number: int, chance: torch.Generator | None = None) -> Tensor:
        """Raises InputError for less than one."""
        require_number(number)
        return torch.randn(number, self.code_channels, generator=chance)

    def encode(self, conditions: Tensor) -> tuple[Tensor, ...]:
        """Raises InputError for conditions of other channels."""
        require_conditions(conditions, self.condition_channels)
        return (conditions,)

    def decode(self, encoded: tuple[Tensor, ...], items: Tensor, codes: Tensor) -> Tensor:
        """[K, 3, H, W], 0 to 1. Raises InputError for codes of another width."""
        require_code_shape(codes, (self.code_channels,))
        return (full_precision(self.from_encoded(encoded[0][items], codes.to(items.device))) + 1) / 2


class ConditionalDiscriminator(PatchDiscriminator):
    """Judges an image beside its condition."""

    def __init__(self, condition_channels: int, **options: Any) -> None:
        super().__init__(condition_channels + 3, **options)

    def encode_condition(self, conditions: Tensor, size: tuple[int, int]) -> Tensor:
        return conditions

    def forward(self, conditions: Tensor, images: Tensor) -> list[Tensor]:  # type: ignore[override]
        return super().forward(torch.cat([conditions.to(images.dtype), images], 1))


class Pix2Pix(nn.Module):
    """One discriminator at one scale and L1, times 100; in the same form as ``BicycleGAN``.

    Other than published: the adversarial loss is least squares; kernels are 3x3, not 4x4, so that a score of the
    discriminator sees 47x47 pixels, not 70x70; the U-Net has six levels, not eight.

    Args:
        condition_channels: of the condition.
        width: channels of the first layers; 64 as published.
    """

    def __init__(self, condition_channels: int, *, width: int = 64) -> None:
        super().__init__()
        self.generator = Translator(condition_channels, widths=_widths(width), code_channels=0)
        self.discriminator = ConditionalDiscriminator(
            condition_channels, widths=_widths(width)[:4], scales=1, strided=3
        )

    def forward(self, conditions: Tensor, images: Tensor) -> GanLosses:
        """Raises InputError for images that the U-Net has no pixel of at its coarsest."""
        _require_size(images)
        real = self.generator.standardise(images)
        fake = self.generator.from_encoded(conditions, conditions.new_zeros(len(conditions), 0))
        adversarial, discrimination = play(self.discriminator, conditions, real, fake)
        zero = adversarial.new_zeros(())
        distance = 100 * (full_precision(fake) - real).abs().mean()
        return GanLosses(adversarial, distance, zero, zero, discrimination)


class ImageBicycleGAN(BicycleGAN):
    """A code of 8 numbers at all layers, two discriminators of two scales; weights as published.

    Other than published: kernels are 3x3, not 4x4, so that scores of the discriminators see 31 and 63 pixels each way,
    not 70 and 140; the U-Net has six levels, not eight.

    Args:
        condition_channels: of the condition.
        width: channels of the first layers; 64 as published.
    """

    def __init__(self, condition_channels: int, *, width: int = 64) -> None:
        widths = _widths(width)

        def discriminator() -> ConditionalDiscriminator:
            return ConditionalDiscriminator(condition_channels, widths=widths[:3], scales=2, strided=3)

        super().__init__(
            Translator(condition_channels, widths=widths),
            CodeEncoder(3, 8, widths[:4]),
            discriminator(),
            discriminator(),
        )

    def forward(self, conditions: Tensor, targets: Tensor) -> GanLosses:
        """Raises InputError for images that the U-Net has no pixel of at its coarsest."""
        _require_size(targets)
        return super().forward(conditions, targets)


def _drop(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Not a lambda: pickle knows functions by their names."""
    return F.dropout(output, 0.5)


def _require_size(images: Tensor) -> None:
    if min(images.shape[-2:]) < SMALLEST:
        raise InputError(
            f"images are {images.shape[-1]}x{images.shape[-2]}: the adversarial generators take at least {SMALLEST} "
            "pixels each way; give a larger dataset.size"
        )


def _widths(width: int) -> tuple[int, ...]:
    return (width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width)
