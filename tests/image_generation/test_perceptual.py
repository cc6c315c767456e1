"""Distances of images by what a network makes of them, against naive sums."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.image_generation import PerceptualDistance, VGGFeatures
from tessella.image_generation.judges import small_vgg
from tessella.networks import VGG16, VGG19


@pytest.fixture
def features():
    torch.manual_seed(0)
    return VGGFeatures(small_vgg(3))


def test_maps_are_what_comes_before_the_rectifier(features):
    """Of the second convolution of each stage."""
    images = torch.rand(2, 3, 32, 48)
    weights = [layer for layer in features.layers if isinstance(layer, nn.Conv2d)]
    x = (images - features.mean) / features.std
    wanted, number = [], 0
    for stage, convolutions in enumerate((2, 2, 3, 3, 2)):
        if stage:
            x = F.max_pool2d(x, 2)
        for convolution in range(convolutions):
            layer = weights[number]
            number += 1
            x = F.conv2d(x, layer.weight, layer.bias, padding=1)
            if convolution == 1:
                wanted.append(x)
            x = x.clamp(min=0)
    maps = features(images)
    assert [m.shape[1:] for m in maps] == [(3, 32, 48), (6, 16, 24), (12, 8, 12), (24, 4, 6), (24, 2, 3)]
    assert number == len(weights)
    for found, map_ in zip(maps, wanted, strict=True):
        torch.testing.assert_close(found, map_)
        assert found.min() < 0


def test_images_are_normalised_by_colour():
    features = VGGFeatures(small_vgg(2), mean=(0.1, 0.2, 0.3), std=(1, 2, 4))
    plain = VGGFeatures(small_vgg(2), mean=(0, 0, 0), std=(1, 1, 1))
    plain.layers.load_state_dict(features.layers.state_dict())
    images = torch.rand(1, 3, 16, 16)
    shifted = (images - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([1.0, 2, 4])[
        :, None, None
    ]
    torch.testing.assert_close(features(images)[4], plain(shifted)[4])


def test_the_published_network_has_these_layers():
    with torch.device("meta"):
        features = VGGFeatures(VGG16().features)
        assert [m.shape[1] for m in features(torch.zeros(1, 3, 32, 32))] == [64, 128, 256, 512, 512]


@pytest.mark.parametrize(
    "layers",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3)),
        nn.Sequential(*(nn.Conv2d(3, 3, 1) if i % 4 else nn.ReLU() for i in range(30))),
        nn.Sequential(
            *(layer for number in range(30) for layer in (small_vgg(2)[number], nn.BatchNorm2d(2)))
        ),
        small_vgg(2)[:20],
    ],
)
def test_another_network(layers):
    with pytest.raises(InputError, match="no VGG-16 or VGG-19 without normalisation"):
        VGGFeatures(layers)


def test_of_a_vgg_19_the_second_convolutions_too():
    """The authors of CRN take conv1_2, ..., conv5_2 of it, layers 2, 7, 12, 21 and 30 of torchvision's."""
    features = VGGFeatures(VGG19(width=2).features)
    assert features.taps == (2, 7, 12, 21, 30)
    seen = []
    for tap in features.taps:
        features.layers[tap].register_forward_hook(lambda module, given, found: seen.append(found))
    maps = features(torch.rand(1, 3, 32, 32))
    assert len(maps) == 5
    assert all(torch.equal(one, other) for one, other in zip(maps, seen, strict=True))


def test_images_of_other_channels(features):
    """A grey one would be spread over the colours' means without a word."""
    for shape in ((2, 1, 16, 16), (2, 4, 16, 16), (3, 16, 16)):
        with pytest.raises(InputError, match="features are seen in"):
            features(torch.rand(shape))


def test_unlike_shapes(features):
    distance = PerceptualDistance(features)
    for shape in ((1, 3, 16, 16), (2, 3, 32, 32)):
        with pytest.raises(InputError, match=r"images have shape \[2, 3, 16, 16\], their targets"):
            distance(torch.rand(2, 3, 16, 16), torch.rand(shape))


@pytest.mark.parametrize(
    "weights", [(-1.0, 1, 1, 1, 1, 1), (float("nan"),) * 6, (float("inf"),) * 6, (0.0,) * 6]
)
def test_weights_that_weigh_nothing(features, weights):
    with pytest.raises(InputError, match=r"weights are .*: give finite ones of at least 0"):
        PerceptualDistance(features, weights)


def test_distance_is_a_weighted_sum(features):
    """Sums over channels and places of each map, by the number of the image's values (equation 5.6)."""
    weights = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    distance = PerceptualDistance(features, weights)
    images, targets = torch.rand(2, 3, 3, 16, 24)
    found = distance(images, targets)
    assert found.shape == (3,)
    for item in range(3):
        one = [images[item], *(m[0] for m in features(images[item][None]))]
        other = [targets[item], *(m[0] for m in features(targets[item][None]))]
        wanted = sum(w * (a - b).abs().sum().item() for w, a, b in zip(weights, one, other, strict=True))
        assert found[item].item() == pytest.approx(wanted / (3 * 16 * 24), rel=1e-4)


def test_distance_is_one(features):
    distance = PerceptualDistance(features)
    images, targets = torch.rand(2, 3, 3, 16, 16)
    assert distance(images, images).tolist() == [0, 0, 0]
    torch.testing.assert_close(distance(images, targets), distance(targets, images))


def test_authors_weights(features):
    expected = torch.tensor([1, 1, 1 / 2.3, 1 / 1.8, 1 / 2.8, 12.5])
    torch.testing.assert_close(PerceptualDistance(features).weights, expected)


def test_balanced_terms_are_a_sixth_each(features):
    distance = PerceptualDistance(features)
    images = torch.rand(20, 3, 16, 16)
    distance.balance(images)
    one, other = distance.represent(images), distance.represent(images.roll(1, 0))
    for number in range(6):
        only = [torch.zeros_like(m) for m in one]
        only[number] = one[number] - other[number]
        term = distance.distance(only, [torch.zeros_like(m) for m in one])
        assert term.mean().item() == pytest.approx(1 / 6, rel=1e-4)
    assert distance(images, images.roll(1, 0)).mean().item() == pytest.approx(1, rel=1e-4)


def test_balanced_weights_are_saved(features):
    distance = PerceptualDistance(features)
    distance.balance(torch.rand(4, 3, 16, 16))
    other = PerceptualDistance(VGGFeatures(small_vgg(3)))
    other.load_state_dict(distance.state_dict())
    images, targets = torch.rand(2, 1, 3, 16, 16)
    torch.testing.assert_close(other(images, targets), distance(images, targets), atol=0, rtol=0)


def test_nothing_of_it_trains(features):
    distance = PerceptualDistance(nn.Sequential(features).train()[0])
    owner = nn.ModuleList([distance]).train()
    assert not distance.training
    assert not any(module.training for module in distance.modules())
    assert not any(p.requires_grad for p in owner.parameters())
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    distance(images, torch.rand(1, 3, 16, 16)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().min() > 0
    assert all(p.grad is None for p in owner.parameters())


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 2.0), (1.0,) * 7])
def test_as_many_weights_as_maps(features, weights):
    distance = PerceptualDistance(features, weights)
    with pytest.raises(InputError, match=rf"{len(weights)} weights for the image and 5 maps: give 6"):
        distance(*torch.rand(2, 1, 3, 16, 16))
    maps = distance.represent(torch.rand(2, 3, 16, 16))
    with pytest.raises(InputError, match=r"for the image and 5 maps: give 6"):
        distance.pairwise(maps, maps, 1)


def test_balance_needs_images_that_differ(features):
    distance = PerceptualDistance(features)
    for images in (torch.rand(1, 3, 16, 16), torch.full((4, 3, 16, 16), 0.3)):
        with pytest.raises(InputError, match="images to balance by are all alike"):
            distance.balance(images)


def test_in_bf16_and_any_order_in_memory(features):
    distance = PerceptualDistance(features)
    images, targets = torch.rand(2, 2, 3, 32, 32)
    wanted = distance(images, targets)
    last = images.to(memory_format=torch.channels_last), targets.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(distance(*last), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        found = distance(images, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.01)
