"""From an image, or a feature, to the distribution of the latent code behind it."""

from jaxtyping import Float
from torch import Tensor, nn

from tessella.adversarial.layers import CodedConv2d
from tessella.errors import InputError
from tessella.precision import full_precision


class CodeEncoder(nn.Module):
    """[B, C, H, W] to mean and logarithm of the variance of its code, [B, Z] each, by a mean over all places.

    Args:
        in_channels: C.
        code_channels: Z.
        widths: channels of the layers, each of which halves the resolution, with ``code_stride`` only the first do.
        code_stride: a power of two; [B, Z, H / stride, W / stride], rounded up, without the mean. 0 for one code.
    """

    def __init__(
        self,
        in_channels: int,
        code_channels: int,
        widths: tuple[int, ...] = (128, 256),
        code_stride: int = 0,
    ) -> None:
        super().__init__()
        if code_stride and code_stride not in (2**depth for depth in range(len(widths) + 1)):
            raise InputError(f"code_stride {code_stride}: give a power of two up to {2 ** len(widths)}, or 0")
        self.per_place = code_stride > 0
        channels = (in_channels, *widths)
        self.layers = nn.Sequential(
            *(
                CodedConv2d(
                    before,
                    after,
                    stride=2 if not code_stride or 2**depth < code_stride else 1,
                    normalise=depth > 0,
                )
                for depth, (before, after) in enumerate(zip(channels, widths, strict=False))
            )
        )
        self.head = nn.Linear(widths[-1], 2 * code_channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
        found = self.layers(x)
        found = found.movedim(1, -1) if self.per_place else found.mean((2, 3))
        mean, log_variance = full_precision(self.head(found)).movedim(-1, 1).chunk(2, 1)
        return mean, log_variance
