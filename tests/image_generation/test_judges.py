"""Judges: where a heat map's landmark is, and that they learn what they are asked for."""

import math

import pytest
import torch
from torch.nn import functional as F

from tessella.datasets.conditions import heat_maps
from tessella.image_generation import ConditionEstimator, Embedding
from tessella.image_generation.judges import places


@pytest.mark.parametrize("sigma", [0.0, 1.5])
def test_places_are_the_landmarks(sigma, tmp_path):
    landmarks = torch.tensor([[10.0, 7], [20, 5], [15, 14], [31, 19]])
    maps = heat_maps(landmarks[:3].numpy(), (20, 32), sigma=sigma, path=tmp_path)
    found = places(torch.from_numpy(maps).permute(2, 0, 1)[None])
    torch.testing.assert_close(found[0], (landmarks[:3] + 0.5) / 32, atol=2e-4, rtol=0)


def test_places_are_means_of_mass():
    maps = torch.rand(2, 3, 5, 8)
    for item in range(2):
        for number in range(3):
            x = sum(
                maps[item, number, row, column] * (column + 0.5) for row in range(5) for column in range(8)
            )
            y = sum(maps[item, number, row, column] * (row + 0.5) for row in range(5) for column in range(8))
            wanted = torch.stack([x, y]) / maps[item, number].sum() / 8
            torch.testing.assert_close(places(maps)[item, number], wanted)


def test_an_empty_map_has_no_place_that_breaks_the_loss():
    assert places(torch.zeros(1, 1, 4, 4)).isfinite().all()


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (33, 47)])
def test_estimates_have_the_images_size(size):
    network = ConditionEstimator(4, width=2)
    assert network(torch.rand(2, 3, *size)).shape == (2, 4, *size)
    assert network.landmarks(torch.rand(2, 3, *size)).shape == (2, 4, 2)


def test_losses_are_those_of_the_estimates():
    images, conditions = torch.rand(2, 3, 16, 24), torch.rand(2, 4, 16, 24)
    of_maps, of_landmarks = (ConditionEstimator(4, kind=kind, width=2) for kind in ("maps", "landmarks"))
    torch.testing.assert_close(of_maps.loss(images, conditions), (of_maps(images) - conditions).abs().mean())
    apart = of_landmarks.landmarks(images) - places(conditions)
    torch.testing.assert_close(of_landmarks.loss(images, conditions), apart.square().sum(2).sqrt().mean())


def learn(network, images, conditions, steps, rate=3e-3):
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = network.loss(images, conditions)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_an_estimator_learns_where_a_spot_is():
    torch.manual_seed(0)
    images, conditions = torch.zeros(24, 3, 16, 16), torch.zeros(24, 1, 16, 16)
    rows, columns = torch.randint(2, 14, (2, 24))
    for item, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        images[item, :, row - 1 : row + 2, column - 1 : column + 2] = 1
        conditions[item, 0, row, column] = 1
    network = ConditionEstimator(1, kind="landmarks", width=4)
    assert network.loss(images, conditions) > 0.2
    learn(network, images, conditions, 120)
    error = (network.landmarks(images) - places(conditions)).norm(dim=2)
    assert error.mean() < 0.06  # a pixel


def test_an_estimator_learns_maps():
    torch.manual_seed(0)
    images = F.interpolate(torch.rand(8, 3, 4, 4), (16, 16))
    conditions = images.mean(1, keepdim=True) - images[:, :1]
    network = ConditionEstimator(1, width=4)
    assert learn(network, images, conditions, 80) < 0.5 * conditions.abs().mean()


def test_an_embedding_tells_images_apart():
    torch.manual_seed(3)
    images = F.interpolate(torch.rand(8, 3, 4, 4), (32, 32), mode="bilinear")
    network = Embedding(width=4, channels=8)
    before = network.loss(images, images).item()
    learn(network, images, images, 150)
    with torch.no_grad():
        found, mirrored = network(images), network(images.flip(3))
        losses = [network.loss(images, images).item() for _ in range(20)]
    assert sum(losses) / 20 < 0.6 * before
    torch.testing.assert_close(found.norm(dim=1), torch.ones(8))
    assert ((found @ mirrored.T).argmax(1) == torch.arange(8)).sum() >= 5


def test_contrast_is_that_of_simclr(monkeypatch):
    """Of 2N views each finds its partner among the 2N - 1 others."""
    network = Embedding(width=2, channels=3, temperature=0.5)
    views = F.normalize(torch.randn(6, 3), dim=1)
    monkeypatch.setattr(network, "forward", lambda images: views)
    total = 0.0
    for one in range(6):
        alike = [math.exp((views[one] @ views[other]).item() / 0.5) for other in range(6)]
        total -= math.log(alike[(one + 3) % 6] / (sum(alike) - alike[one]))
    found = network.loss(torch.rand(3, 3, 16, 16), torch.rand(3, 1, 16, 16))
    assert found.item() == pytest.approx(total / 6, rel=1e-5)


def test_representations_are_five_maps_and_the_embedding():
    network = Embedding(width=2, channels=7)
    images = torch.rand(2, 3, 32, 32)
    found = network.represent(images)
    assert [tuple(each.shape[1:]) for each in found] == [
        (2, 32, 32),
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
        (16, 2, 2),
        (7,),
    ]
    torch.testing.assert_close(network(images), found[-1])
