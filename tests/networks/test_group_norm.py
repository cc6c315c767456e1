"""No network of ours lets one image see another once its batch normalisation is replaced."""

import pytest
import torch
from tests.networks.test_networks import NETWORKS
from torch import nn

from tessella.networks.group_norm import group_norm, with_group_norm


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (3, 1), (8, 1), (16, 1), (17, 1), (24, 1), (32, 2), (40, 2), (96, 6), (100, 5), (2048, 128)],
)
def test_groups_have_sixteen_channels_or_the_next_number_that_divides(channels: int, groups: int) -> None:
    assert group_norm(nn.BatchNorm2d(channels)).num_groups == groups


def test_weight_bias_and_eps_stay() -> None:
    batch_norm = nn.BatchNorm2d(32, eps=1e-3)
    nn.init.normal_(batch_norm.weight)
    nn.init.normal_(batch_norm.bias)
    replaced = group_norm(batch_norm)
    assert torch.equal(replaced.weight, batch_norm.weight)
    assert torch.equal(replaced.bias, batch_norm.bias)
    assert replaced.eps == 1e-3
    assert group_norm(nn.BatchNorm2d(32, affine=False)).weight is None


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm3d, nn.SyncBatchNorm])
def test_every_kind_is_replaced_also_where_it_is_the_network(kind: type[nn.Module]) -> None:
    assert isinstance(with_group_norm(kind(16)), nn.GroupNorm)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_is_the_same_alone_and_in_a_batch(name: str) -> None:
    network = with_group_norm(NETWORKS[name]())
    assert not any("running" in buffer for buffer, _ in network.named_buffers())
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    channels = next(p.shape[1] for p in network.parameters() if p.ndim == 4)
    channels = 6 if name == "two-stream FCN" else channels
    images = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, alone = network.train()(images), network(images[:1])
    torch.testing.assert_close(together[:1], alone, rtol=1e-3, atol=1e-4)
