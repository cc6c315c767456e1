"""What the learned attack looks at."""

import pytest
import torch

from tessella.errors import InputError
from tessella.membership_inference.learned import (
    Attacker,
    channels_of,
    describe,
    matching_temperature,
    mean_confidence,
    patches,
    score_images,
    tempered,
)


def test_maps_are_means_over_areas():
    generator = torch.Generator().manual_seed(0)
    posteriors = torch.randn(2, 3, 8, 12, generator=generator).softmax(1)
    labels = torch.randint(0, 3, (2, 8, 12), generator=generator)
    labels[0, :4, :6] = 255  # a whole cell
    labels[1, 0, 0] = 255
    maps = describe(posteriors, labels, (2, 2))
    assert maps.shape == (2, 8, 2, 2)
    torch.testing.assert_close(maps[1, 0, 1, 0], posteriors[1, 0, 4:, :6].mean())
    torch.testing.assert_close(maps[1, 4, 1, 1], (labels[1, 4:, 6:] == 1).float().mean())
    true = posteriors[1].gather(0, labels[1].where(labels[1] < 3, 0)[None])[0]
    counted = labels[1, :4, :6] < 3
    torch.testing.assert_close(maps[1, -2, 0, 0], -true[:4, :6][counted].log().mean())
    torch.testing.assert_close(maps[1, -1, 0, 0], torch.tensor(23 / 24))
    assert maps[0, 3:, 0, 0].eq(0).all()  # no label, no loss
    assert maps[:, channels_of("posteriors", 3)].shape[1] == 6
    assert maps[:, channels_of("posteriors alone", 3)].shape[1] == 3
    assert maps[:, channels_of("loss", 3)].shape[1] == 2


def test_any_size_of_image_gives_maps_of_one_size():
    posteriors = torch.full((1, 4, 37, 53), 0.25)
    assert describe(posteriors, torch.zeros(1, 37, 53, dtype=torch.long), (5, 7)).shape == (1, 10, 5, 7)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_type(dtype):
    posteriors, labels = torch.full((1, 4, 6, 6), 0.25), torch.arange(36).view(1, 6, 6) % 5
    labels[labels == 4] = 255
    assert torch.equal(describe(posteriors, labels.to(dtype), (2, 2)), describe(posteriors, labels, (2, 2)))


def test_patches_cover_the_map():
    maps = torch.arange(45 * 60.0).view(1, 1, 45, 60)
    found = list(patches(maps, (24, 24)))
    assert {patch.shape for patch in found} == {(1, 1, 24, 24)}
    assert torch.equal(torch.cat([patch.flatten() for patch in found]).unique(), maps.flatten())
    assert len(list(patches(maps, (45, 60)))) == 1
    with pytest.raises(InputError, match="give smaller ones"):
        list(patches(maps, (46, 10)))


def test_image_scores_are_means_of_patch_scores():
    torch.manual_seed(0)
    attacker = Attacker(6, width=8).eval()
    maps = torch.randn(3, 6, 45, 60)
    image, patch = score_images(attacker, maps, (24, 24))
    windows = list(patches(maps, (24, 24)))
    assert patch.shape == (3, len(windows))
    torch.testing.assert_close(patch[:, 2], attacker(windows[2]).detach())
    torch.testing.assert_close(image, patch.mean(1))


def some_maps(sharpness):
    generator = torch.Generator().manual_seed(0)
    posteriors = (sharpness * torch.randn(4, 3, 8, 12, generator=generator)).softmax(1)
    return describe(posteriors, torch.randint(0, 3, (4, 8, 12), generator=generator), (4, 6))


def test_one_model_is_made_as_sure_as_another():
    sure, unsure = some_maps(3.0), some_maps(1.0)
    temperature = matching_temperature(sure, mean_confidence(unsure))
    assert temperature > 1.5
    aligned = tempered(sure, temperature)
    assert mean_confidence(aligned) == pytest.approx(mean_confidence(unsure), abs=1e-3)
    torch.testing.assert_close(aligned[:, :3].sum(1), torch.ones(4, 4, 6))
    assert torch.equal(aligned[:, :3].argmax(1), sure[:, :3].argmax(1))
    assert torch.equal(aligned[:, 3:], sure[:, 3:])
    torch.testing.assert_close(tempered(sure, 1.0), sure)
    assert matching_temperature(sure, 1.0) < 0.07  # the nearest there is


def test_activation_maps_say_where_a_score_comes_from():
    torch.manual_seed(0)
    attacker = Attacker(6, width=8).eval()
    maps = torch.randn(2, 6, 48, 64)
    features = attacker.backbone(maps)[-1]
    torch.testing.assert_close(attacker(maps), attacker.classifier(features.mean((2, 3)))[:, 0])
    torch.testing.assert_close(attacker.activation(maps).mean((1, 2)), attacker(maps))
    changed = maps.clone()
    changed[:, :, :, :8] += 9
    apart = (attacker.activation(changed) - attacker.activation(maps)).abs().sum((0, 1))
    assert apart.argmax() == 0
