"""Noise that is drawn from the image is averaged away by asking about images that hardly differ."""

import pytest
import torch

from tessella.errors import InputError
from tessella.membership_inference.defences import Gaussian
from tessella.membership_inference.near_copies import Averaged

IMAGES = torch.randint(0, 256, (2, 3, 24, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
POSTERIORS = torch.tensor([0.6, 0.3, 0.1])[None, :, None, None].expand(2, 3, 24, 32)


def test_copies_differ_from_the_image_and_each_other_in_one_number():
    asked = []
    Averaged(lambda images: asked.append(images.clone()) or POSTERIORS, copies=8)(IMAGES)
    assert torch.equal(asked[0], IMAGES)
    for copy in asked[1:]:
        assert [(copy[n].int() - IMAGES[n].int()).abs().sum() for n in range(2)] == [1, 1]
    assert len({copy.numpy().tobytes() for copy in asked}) == 8
    floats = torch.zeros(1, 3, 4, 5)
    Averaged(lambda images: asked.append(images) or POSTERIORS[:1], copies=2)(floats)
    assert float((asked[-1] - floats).abs().sum()) == pytest.approx(1 / 255)


def test_copies_of_images_whose_channels_lie_last_in_memory():
    asked = []
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    Averaged(lambda images: asked.append(images.clone()) or POSTERIORS, copies=3)(images)
    assert [(copy.int() - images.int()).abs().sum() for copy in asked] == [0, 2, 2]


def test_noise_is_averaged_away():
    """Asked again about one image nothing is learned; of sixteen copies the noise is a quarter."""
    noisy = Gaussian(lambda images: POSTERIORS, variance=0.01, secret=b"a secret")
    assert torch.equal(noisy(IMAGES), noisy(IMAGES))
    one, many = ((box(IMAGES) - POSTERIORS)[:, 0].std() for box in (noisy, Averaged(noisy, copies=16)))
    assert float(many / one) == pytest.approx(0.25, rel=0.15)
    torch.testing.assert_close(Averaged(noisy)(IMAGES).sum(1), torch.ones(2, 24, 32))


def test_no_copies():
    with pytest.raises(InputError, match="averaged: 0 copies"):
        Averaged(lambda images: POSTERIORS, copies=0)
