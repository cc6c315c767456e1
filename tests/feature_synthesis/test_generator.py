"""Generators and discriminators of features, and layouts."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.feature_synthesis import (
    FeatureDiscriminator,
    FeatureGenerator,
    one_hot_layout,
    pseudo_labels,
)
from tessella.feature_synthesis.generator import AtrousReduction


def test_reduction_is_the_full_convolutions_then_the_stride():
    block = AtrousReduction(5, 4)
    x = torch.randn(2, 5, 23, 30)
    full = [
        F.conv2d(x, branch.weight, branch.bias, padding=rate, dilation=rate)[:, :, ::2, ::2]
        for rate, branch in zip((1, 2, 4), block.branches, strict=True)
    ]
    torch.testing.assert_close(block(x), F.leaky_relu(torch.cat(full, 1), 0.2))


@pytest.mark.parametrize("modulate", [False, True])
@pytest.mark.parametrize(
    ("size", "features"), [((180, 240), (23, 30)), ((64, 80), (8, 10)), ((33, 47), (5, 6))]
)
def test_features_at_an_eighth(size, features, modulate):
    generator = FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8), modulate=modulate)
    layouts = one_hot_layout(torch.randint(0, 5, (2, *size)), 5)
    assert generator(layouts, torch.randn(2, 8)).shape == (2, 16, *features)
    assert generator(layouts, torch.randn(2, 8), (7, 9)).shape == (2, 16, 7, 9)


def test_codes_of_places():
    torch.manual_seed(0)
    generator = FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8), code_stride=4)
    layouts = one_hot_layout(torch.randint(0, 5, (2, 180, 240)), 5)
    codes = generator.draw(2, (23, 30), torch.Generator().manual_seed(1))
    assert codes.shape == (2, 8, 6, 8)
    features = generator(layouts, codes, (23, 30))
    assert features.shape == (2, 16, 23, 30)
    other = codes.clone()
    other[:, :, :, 0] += 2
    difference = (generator(layouts, other, (23, 30)) - features).abs().mean((0, 1, 2))
    assert difference[:4].mean() > 3 * difference[-4:].mean()
    assert FeatureGenerator(6, 16).draw(2, (23, 30)).shape == (2, 8)


def test_baseline_sees_the_layout_at_the_features_resolution():
    generator = FeatureGenerator(6, 16, blocks=0, widths=(8, 8))
    layouts = one_hot_layout(torch.randint(0, 5, (2, 64, 80)), 5)
    assert generator.encode_condition(layouts, (8, 10)).shape == (2, 6, 8, 10)
    torch.testing.assert_close(generator.encode_condition(layouts, (8, 10)).sum(1), torch.ones(2, 8, 10))


def test_features_are_in_the_networks_units():
    generator = FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8))
    layouts, codes = one_hot_layout(torch.randint(0, 5, (2, 64, 80)), 5), torch.randn(2, 8)
    plain = generator(layouts, codes)
    generator.mean.fill_(3.0)
    generator.std.fill_(2.0)
    features = generator(layouts, codes)
    torch.testing.assert_close(features, 2 * plain + 3)
    torch.testing.assert_close(generator.standardise(features), plain)
    again = FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8))
    again.load_state_dict(generator.state_dict())
    torch.testing.assert_close(again(layouts, codes), features)


def test_other_codes_other_features():
    generator = FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8))
    layouts = one_hot_layout(torch.randint(0, 5, (1, 64, 80)), 5).expand(2, -1, -1, -1)
    first, second = generator(layouts, torch.randn(2, 8))
    assert (first - second).abs().mean() > 1e-3


def test_discriminator_looks_at_both():
    discriminator = FeatureDiscriminator(6, 16, reduction_width=4, widths=(8, 8))
    layouts = one_hot_layout(torch.randint(0, 5, (2, 64, 80)), 5)
    encoded = discriminator.encode_condition(layouts, (8, 10))
    features = torch.randn(2, 16, 8, 10)
    scores = discriminator(encoded, features)
    assert len(scores) == 2
    assert not torch.allclose(scores[0], discriminator(encoded, features + 1)[0])
    assert not torch.allclose(scores[0], discriminator(encoded.flip(0), features)[0])


def test_layouts():
    labels = torch.tensor([[[0, 1, 2], [255, 1, 1]]])
    layout = one_hot_layout(labels, 3)
    assert layout.shape == (1, 4, 2, 3)
    assert torch.equal(layout.argmax(1), torch.tensor([[[0, 1, 2], [3, 1, 1]]]))
    halved = one_hot_layout(labels, 3, stride=2)
    torch.testing.assert_close(halved[0, :, 0, 0], torch.tensor([0.25, 0.5, 0, 0.25]))
    torch.testing.assert_close(halved[0, :, 0, 1], torch.tensor([0, 0.5, 0.5, 0]))
    with pytest.raises(InputError, match="label 7: the generator knows classes 0 to 2"):
        one_hot_layout(torch.tensor([[[0, 7]]]), 3)


def test_pseudo_labels_fill_holes_from_the_nearest_sure_pixel():
    posteriors = np.full((3, 1, 5), 0.2, dtype=np.float32)
    posteriors[1, 0, 0] = 0.9
    posteriors[2, 0, 4] = 0.8
    posteriors[0, 0, 1:4] = 0.6
    assert pseudo_labels(posteriors).tolist() == [[1, 1, 1, 2, 2]] or pseudo_labels(posteriors).tolist() == [
        [1, 1, 2, 2, 2]
    ]
    assert pseudo_labels(posteriors, 0.5).tolist() == [[1, 0, 0, 0, 2]]
    assert (pseudo_labels(posteriors, 0.95) == 255).all()
    posteriors[:, 0, 0] = np.nan  # is not sure
    assert pseudo_labels(posteriors).tolist() == [[2, 2, 2, 2, 2]]
    assert (pseudo_labels(posteriors * np.nan) == 255).all()
    with pytest.raises(InputError, match=r"sure 1.0"):
        pseudo_labels(posteriors, 1.0)
