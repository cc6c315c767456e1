"""A model that knows its images by heart is steady on them."""

import pytest
import torch

from tessella.membership_inference.label_only import SHIFTS, _common, _shifted, labels_of, steadiness


def some_images(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (count, 3, 6, 8), generator=generator)
    return coarse.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)


def by_color(images):
    """Labels that move with the picture, and change a little with its brightness."""
    return (images[:, 0] > 100).long()


def test_what_moves_with_the_picture_is_steady():
    images = some_images()
    found = steadiness(by_color, images)
    assert (found > 0.9).all()
    dark = images.clamp(max=60)
    assert (steadiness(by_color, dark) == 1).all()


def test_what_depends_on_where_things_are_is_not():
    labels = torch.arange(24 * 32).reshape(24, 32) % 7
    found = steadiness(lambda images: labels.expand(len(images), -1, -1), some_images())
    assert (found < 0.5).all()


def test_truth_counts_where_it_is_known():
    images = some_images()
    truth = by_color(images)
    assert (steadiness(by_color, images, 1 - truth) < 0.1).all()
    truth[0] = 255
    found = steadiness(by_color, images, truth)
    assert found[0].isnan()
    torch.testing.assert_close(found[1:], steadiness(by_color, images)[1:])


@pytest.mark.parametrize("shift", SHIFTS)
def test_shifts_are_undone(shift):
    images = some_images()
    answer, truth = images[:, 0], images[:, 0]
    moved = _shifted(images, *shift)[:, 0]
    assert moved.shape == answer.shape
    assert torch.equal(_common(moved, *shift, 1), _common(truth, *shift, -1))


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3), (4, 4), (9, 4), (5, 5)])
def test_images_smaller_than_a_shift(size, shift):
    """Of a shift that leaves nothing of the image, nothing counts."""
    images = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    answer, truth = _common(_shifted(images, *shift)[:, 0], *shift, 1), _common(images[:, 0], *shift, -1)
    left = [max(side - abs(by), 0) for side, by in zip(size, shift, strict=True)]
    assert answer.shape[1:] == truth.shape[1:] == tuple(left)
    assert torch.equal(answer, truth)
    assert torch.equal(steadiness(lambda images: images[:, 0] * 0, images), torch.ones(2))


def test_a_black_box_says_no_more_than_labels():
    posteriors = torch.randn(4, 5, 24, 32).softmax(1)
    assert torch.equal(labels_of(lambda images: posteriors)(some_images()), posteriors.argmax(1))
