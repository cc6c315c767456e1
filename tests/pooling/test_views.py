"""Logits of several views brought together: the same as one target after the other, with or without recomputing."""

import pytest
import torch
from torch import nn

from tessella.pooling.layers import SpatioTemporalPooling
from tessella.pooling.views import logits_of_views, pool_views, views_of


class Small(nn.Module):
    """Logits and auxiliary logits, with dropout, as networks have it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.side = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 5, 1),
            nn.Conv2d(4, 5, 1),
        )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        x = self.first(image).relu()
        return self.last(x), (self.side(x),)


@pytest.fixture
def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 6, 8, generator=generator)
    neighbours = torch.rand(2, 4, 3, 6, 8, generator=generator)
    return image, neighbours, torch.randint(-1, 7, (2, 5, 2, 6, 8), generator=generator)


def test_each_target_is_pooled_by_its_own_views(scene) -> None:
    image, neighbours, regions = scene
    network, pooling = Small().eval(), SpatioTemporalPooling()
    logits, (auxiliary,) = logits_of_views(network, views_of(image, neighbours), regions, pooling)
    assert logits.shape == auxiliary.shape == (2, 5, 6, 8)
    for index in range(2):
        views = torch.cat([image[index, None], neighbours[index]])
        levels = [pooling(network(views)[0], regions[index, :, level]) for level in range(2)]
        torch.testing.assert_close(logits[index], torch.stack(levels).mean(0))
        torch.testing.assert_close(auxiliary[index], network(image[index, None])[1][0][0])


def test_recomputing_changes_neither_result_nor_gradient(scene) -> None:
    image, neighbours, regions = scene
    network = Small().train()
    gradients = []
    for recompute in (False, True):
        network.zero_grad()
        logits, (auxiliary,) = logits_of_views(
            network, views_of(image, neighbours), regions, SpatioTemporalPooling(), recompute=recompute
        )
        (logits.square().mean() + auxiliary.square().mean()).backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for once, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, once)


def test_one_view_is_superpixel_pooling(scene) -> None:
    image, _, regions = scene
    network = Small().eval()
    logits, _ = logits_of_views(network, views_of(image, None), regions[:, :1], SpatioTemporalPooling())
    one = SpatioTemporalPooling()(network(image[:1])[0], regions[0, :1].transpose(0, 1))
    torch.testing.assert_close(logits[0], one)


def test_logarithms_of_posteriors_pool_as_logits_do(scene) -> None:
    """They differ by a number for each pixel, whose average is the same for all classes."""
    *_, regions = scene
    logits = 3 * torch.randn(2, 5, 4, 6, 8)
    pooling = SpatioTemporalPooling()
    hidden = pool_views(logits, regions, pooling).softmax(1)
    seen = pool_views(logits.log_softmax(2), regions, pooling).softmax(1)
    torch.testing.assert_close(seen, hidden)


def test_pixels_without_a_region_keep_their_own(scene) -> None:
    image, neighbours, regions = scene
    network = Small().eval()
    logits, _ = logits_of_views(
        network, views_of(image, neighbours), torch.full_like(regions, -1), SpatioTemporalPooling()
    )
    torch.testing.assert_close(logits, network(image)[0])
