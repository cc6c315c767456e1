"""PixelNN against loops over a tiny image."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.image_generation import VGGFeatures, nearest_pixels
from tessella.image_generation.judges import small_vgg
from tessella.image_generation.nearest_pixels import closest_examples


@pytest.fixture
def features():
    torch.manual_seed(0)
    return VGGFeatures(small_vgg(3))


def naive(regressed, examples, features, maps, window):
    height, width = regressed.shape[1:]

    def describe(image):
        found = features(image[None])
        parts = []
        for number in maps:
            full = F.interpolate(found[number], (height, width), mode="bilinear", align_corners=False)[0]
            parts.append(full / full.norm(dim=0))
        return torch.cat(parts)

    wanted = describe(regressed)
    result = torch.zeros_like(examples)
    for example, image in enumerate(examples):
        known = describe(image)
        for row in range(height):
            for column in range(width):
                best = -np.inf
                for y in range(max(row - window, 0), min(row + window + 1, height)):
                    for x in range(max(column - window, 0), min(column + window + 1, width)):
                        alike = (wanted[:, row, column] * known[:, y, x]).sum().item()
                        if alike > best + 1e-6:
                            best = alike
                            result[example, :, row, column] = image[:, y, x]
    return result


@pytest.mark.parametrize(("maps", "window"), [((0, 1, 2), 2), ((1,), 1), ((0,), 0)])
def test_pixels_are_those_of_loops(features, maps, window):
    regressed, examples = torch.rand(3, 16, 20), torch.rand(2, 3, 16, 20)
    with torch.no_grad():
        wanted = naive(regressed, examples, features, maps, window)
    found = nearest_pixels(regressed, examples, features, maps=maps, window=window)
    assert (found == wanted).all(1).float().mean() > 0.99  # but where two are equally alike


def test_the_image_itself_as_an_example(features):
    image, other = torch.rand(2, 3, 32, 32)
    found = nearest_pixels(image, torch.stack([other, image]), features)
    assert torch.equal(found[1], image)
    assert not torch.equal(found[0], other)


def test_a_shifted_example_is_shifted_back(features):
    """Within the window, but for what came in at the border."""
    image = torch.rand(3, 32, 32)
    shifted = image.roll((2, 1), (1, 2))
    found = nearest_pixels(image, shifted[None], features, maps=(0,), window=2)
    torch.testing.assert_close(found[0, :, 4:-4, 4:-4], image[:, 4:-4, 4:-4], atol=0, rtol=0)


def test_every_pixel_is_of_the_example(features):
    image, examples = torch.rand(3, 16, 16), torch.rand(2, 3, 16, 16)
    for found, example in zip(nearest_pixels(image, examples, features), examples, strict=True):
        colors = {tuple(c) for c in example.flatten(1).T.tolist()}
        assert {tuple(c) for c in found.flatten(1).T.tolist()} <= colors


def test_closest_examples():
    places = np.array([[0, 0], [1, 0], [5, 5], [0, 1], [2, 2]], np.float32)
    assert closest_examples(np.zeros(2, np.float32), places, 4).tolist() == [0, 1, 3, 4]
    assert closest_examples(np.full(2, 5, np.float32), places, 9).tolist() == [2, 4, 1, 3, 0]


def test_examples_that_do_not_fit(features):
    image = torch.rand(3, 16, 16)
    for shape in ((2, 3, 16, 18), (0, 3, 16, 16), (2, 1, 16, 16)):
        with pytest.raises(InputError, match="give some of its size"):
            nearest_pixels(image, torch.rand(shape), features)
    with pytest.raises(InputError, match="window is -1"):
        nearest_pixels(image, torch.rand(2, 3, 16, 16), features, window=-1)
