"""Three ways from a trunk to many images of one condition (figure 5.3).

``LateSplit`` (CRN) has a last layer for each branch, ``Separate`` has the last two stages for each branch, and
``Shared`` has them once, with channels dropped by a code, so that any number of images can be drawn.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.image_generation.codes import drop, require_rate
from tessella.image_generation.refinement import (
    Encoded,
    Refinement,
    Stage,
    Widths,
    conv3x3,
    joined,
    require_code_shape,
    require_number,
    to_colors,
)


class LateSplit(Refinement):
    """CRN with several images: all layers are shared but the last 1x1 convolution."""

    def __init__(self, condition_channels: int, *, branches: int = 20, widths: Widths = Widths()) -> None:
        super().__init__(condition_channels, branches=branches, widths=widths)
        both = 2 * widths.path
        self.coarse = Stage(self.channels, both, both)
        self.fine = Stage(both + condition_channels, widths.last, widths.last)
        self.image = to_colors(widths.last, branches)

    def encode(self, conditions: Tensor) -> Encoded:
        x, full = self.features(conditions)
        images: Tensor = self.image(self.fine(joined(self.coarse(x), full, 1)))
        return (images.unflatten(1, (self.branches, 3)),)

    def decode(self, encoded: Encoded, items: Tensor, codes: Tensor) -> Tensor:
        return encoded[0][items, codes]


class Head(nn.Module):
    """The last two stages: a path that a code changes beside one that it does not, then full resolution."""

    def __init__(self, channels: int, condition_channels: int, widths: Widths) -> None:
        super().__init__()
        path, last = widths.path, widths.last
        self.path = path
        self.fixed = Stage(channels, path, path)
        self.first, self.second = conv3x3(channels, path), conv3x3(path, path)
        self.joined = conv3x3(2 * path + condition_channels, last)
        self.refined = conv3x3(last, last)
        self.image = to_colors(last)

    def encode(self, x: Tensor, conditions: Tensor) -> Encoded:
        """What no code changes. Of the convolution of both paths and the condition, which is linear, that is a part."""
        fixed = joined(self.fixed(x), conditions, 1)
        weight = self.joined.weight[:, self.path :]
        return F.leaky_relu(self.first(x), 0.2), F.conv2d(fixed, weight, self.joined.bias, padding=1)

    def decode(self, encoded: Encoded, items: Tensor, codes: Tensor | None, rate: float) -> Tensor:
        """codes: [K, 2 * path, ...], for one layer of the path and then the other; None to drop nothing."""
        x, fixed = encoded
        first, second = (None, None) if codes is None else codes.chunk(2, 1)
        x = x[items] if first is None else drop(x[items], first, rate)
        x = F.leaky_relu(self.second(x), 0.2)
        if second is not None:
            x = drop(x, second, rate)
        x = F.interpolate(x, fixed.shape[-2:], mode="bilinear", align_corners=False)
        x = F.conv2d(x, self.joined.weight[:, : self.path], padding=1)
        x = F.leaky_relu(x + fixed[items], 0.2)
        return self.image(F.leaky_relu(self.refined(x), 0.2))


class Separate(Refinement):
    """The last two stages have parameters of their own for each branch."""

    find_unused_parameters = True

    def __init__(self, condition_channels: int, *, branches: int = 20, widths: Widths = Widths()) -> None:
        super().__init__(condition_channels, branches=branches, widths=widths)
        self.heads = nn.ModuleList(Head(self.channels, condition_channels, widths) for _ in range(branches))

    def encode(self, conditions: Tensor) -> Encoded:
        return self.features(conditions)

    def decode(self, encoded: Encoded, items: Tensor, codes: Tensor) -> Tensor:
        x, conditions = encoded
        images = x.new_zeros(len(items), 3, *conditions.shape[-2:])
        for number in codes.unique().tolist():
            head: Head = self.heads[number]
            places = torch.nonzero(codes == number).flatten()
            which, back = items[places].unique(return_inverse=True)
            part = head.encode(x[which], conditions[which])
            images = images.index_copy(0, places, head.decode(part, back, None, 0.0).to(images.dtype))
        return images


class Shared(Refinement):
    """One head for all; a code of its own makes each image (equation 5.1).

    Args:
        rate: r of equation 5.2, the share of channels that a code drops.
        element_size: (height, width) of codes for each place at half the resolution, for classic dropout (figure 5.9);
            None for a code for each channel.

    Raises InputError where the rate is not within (0, 1), or there are codes for no place.
    """

    codes: Tensor

    def __init__(
        self,
        condition_channels: int,
        *,
        branches: int = 20,
        widths: Widths = Widths(),
        rate: float = 0.5,
        element_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(condition_channels, branches=branches, widths=widths)
        require_rate(rate)
        if element_size is not None and (len(element_size) != 2 or min(element_size) < 1):
            raise InputError(f"element_size is {element_size}: give height and width, at least 1 each")
        self.rate = rate
        self.head = Head(self.channels, condition_channels, widths)
        self.code_shape = (2 * widths.path, *(element_size or ()))
        self.register_buffer("codes", torch.rand(self.branches, *self.code_shape))

    @property
    def training_codes(self) -> Tensor:
        return self.codes

    def draw(self, number: int, chance: torch.Generator | None = None) -> Tensor:
        require_number(number)
        known = self.training_codes[:number]
        new = torch.rand(number - len(known), *self.code_shape, generator=chance)
        return torch.cat([known, new.to(known.device)])

    def encode(self, conditions: Tensor) -> Encoded:
        return self.head.encode(*self.features(conditions))

    def require_codes(self, codes: Tensor) -> None:
        """Raises InputError unless codes are [K, ...] of this generator's shape, and finite."""
        require_code_shape(codes, self.code_shape)
        if not len(codes) or not (codes.is_meta or codes.isfinite().all()):
            raise InputError("codes hold no numbers, or some that are not finite: take those of draw")

    def decode(self, encoded: Encoded, items: Tensor, codes: Tensor) -> Tensor:
        require_code_shape(codes, self.code_shape)
        return self.head.decode(encoded, items, codes, self.rate)
