"""Pyramid pooling (Zhao et al., CVPR 2017) and the convolution that follows it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.networks.convolution import PooledBatchNorm2d


class PyramidPooling(nn.Module):
    """Averages of a map over grids of bins, each projected by a 1x1 convolution.

    Parameter names are those of ``ppm`` in the public PyTorch release of PSPNet.

    Args:
        in_channels: channels of the map.
        out_channels: channels of each level.
        bins: rows and columns of each level's grid.
    """

    def __init__(self, in_channels: int, out_channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(
                BinPooling(level),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                PooledBatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            )
            for level in bins
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> list[Tensor]:
        """One map ``[B, out_channels, b, b]`` per level of b x b bins."""
        return [level(x) for level in self.features]


class BinPooling(nn.Module):
    """Average over a grid of bins; equals adaptive average pooling.

    Written as two matrix products because ONNX has no adaptive pooling of maps whose size is not fixed.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        rows = pooling_matrix(self.bins, x.shape[-2], x)
        columns = pooling_matrix(self.bins, x.shape[-1], x)
        return rows @ (x @ columns.mT)


class PyramidConv2d(nn.Module):
    """3x3 convolution of a map concatenated with pyramid levels upsampled to its size.

    Computed without ever building the upsampled levels: convolution and bilinear upsampling are linear, so a
    level of b x b bins is multiplied with the kernel at b x b and only the products are spread out. For
    PSPNet this removes half of the head's multiplications.

    ``weight`` is that of the plain convolution ``[out, map + levels, 3, 3]``: first the map's channels, then
    those of the levels.
    """

    def __init__(self, map_channels: int, level_channels: int, num_levels: int, out_channels: int) -> None:
        super().__init__()
        self.split = [map_channels, *[level_channels] * num_levels]
        self.weight = nn.Parameter(torch.empty(out_channels, sum(self.split), 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as nn.Conv2d

    def forward(self, map_and_levels: tuple[Tensor, list[Tensor]]) -> Tensor:
        x, levels = map_and_levels
        height, width = x.shape[-2:]
        map_weight, *level_weights = self.weight.split(self.split, dim=1)
        row_taps, products = [], []
        for level, weight in zip(levels, level_weights, strict=True):
            bins = level.shape[-1]
            product = torch.einsum("bpij,opyx->boiyjx", level, weight).flatten(4, 5).flatten(2, 3)
            products.append(product @ tap_interpolation(bins, width, x).mT)
            row_taps.append(tap_interpolation(bins, height, x))
        return F.conv2d(x, map_weight, padding=1) + torch.cat(row_taps, 1) @ torch.cat(products, 2)


def pooling_matrix(bins: int, length: int, like: Tensor) -> Float[Tensor, "bins length"]:
    """Row i averages the cells from floor(i length / bins) to ceil((i + 1) length / bins)."""
    bin_index = torch.arange(bins, device=like.device)[:, None]
    start = bin_index * length // bins
    end = ((bin_index + 1) * length + bins - 1) // bins
    cell = torch.arange(length, device=like.device)
    inside = (cell >= start) & (cell < end)
    return inside.to(like.dtype) / (end - start).to(like.dtype)


def interpolation_matrix(bins: int, length: int, like: Tensor) -> Float[Tensor, "length bins"]:
    """Row i interpolates linearly between bins at pixel i of ``length`` (pixel corners aligned)."""
    precise = torch.promote_types(like.dtype, torch.float32)
    position = (torch.arange(length, device=like.device, dtype=precise) + 0.5) * (bins / length) - 0.5
    distance = position.clamp(0, bins - 1)[:, None] - torch.arange(bins, device=like.device)
    return (1 - distance.abs()).clamp(min=0).to(like.dtype)


def tap_interpolation(bins: int, length: int, like: Tensor) -> Float[Tensor, "length taps"]:
    """What each tap of a zero-padded kernel of 3 sees of each interpolated bin; taps vary fastest."""
    padded = F.pad(interpolation_matrix(bins, length, like), (0, 0, 1, 1))
    return torch.stack([padded[tap : tap + length] for tap in range(3)], dim=2).flatten(1)
