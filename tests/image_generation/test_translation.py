"""pix2pix and BicycleGAN: what they draw, and which network learns from which loss."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.adversarial.losses import least_squares
from tessella.errors import InputError
from tessella.image_generation import ImageBicycleGAN, Pix2Pix, Translator
from tessella.image_generation.translation import ConditionalDiscriminator

WIDTHS = (4, 8, 8)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (32, 8)])
@pytest.mark.parametrize("code_channels", [0, 8])
def test_images_of_any_size(size, code_channels):
    generator = Translator(2, widths=WIDTHS, code_channels=code_channels)
    codes = generator.draw(5)
    items = torch.tensor([0, 1, 1, 0, 1])
    images = generator.decode(generator.encode(torch.randn(2, 2, *size)), items, codes)
    assert images.shape == (5, 3, *size)
    assert images.min() >= 0
    assert images.max() <= 1


def test_codes_decide():
    torch.manual_seed(0)
    generator = Translator(2, widths=WIDTHS)
    codes = generator.draw(3, torch.Generator().manual_seed(5))
    assert torch.equal(codes, generator.draw(3, torch.Generator().manual_seed(5)))
    encoded, items = generator.encode(torch.randn(1, 2, 16, 16)), torch.zeros(3, dtype=torch.long)
    images = generator.decode(encoded, items, codes)
    assert (images[0] - images[1]).abs().max() > 1e-3
    torch.testing.assert_close(generator.decode(encoded, items, codes), images, atol=0, rtol=0)
    torch.testing.assert_close(generator.decode(encoded, items[:1], codes[1:2])[0], images[1])


def test_pix2pix_can_be_pickled():
    generator = Translator(2, widths=WIDTHS, code_channels=0)
    again = pickle.loads(pickle.dumps(generator))
    images = []
    for one in (generator, again):
        torch.manual_seed(1)
        images.append(one.from_encoded(torch.ones(1, 2, 16, 16), torch.zeros(1, 0)))
    assert torch.equal(*images)


def receptive_field(convolutions):
    field, step = 1, 1
    for layer in convolutions:
        field, step = field + (layer.kernel_size[0] - 1) * step, step * layer.stride[0]
    return field


def test_how_much_a_score_sees():
    """As the classes say."""
    pix2pix, bicycle = Pix2Pix(1, width=8), ImageBicycleGAN(1, width=8)
    stacks = [*pix2pix.discriminator.scales, *bicycle.discriminators[0].scales]
    fields = [receptive_field(m for m in stack.modules() if isinstance(m, nn.Conv2d)) for stack in stacks]
    assert fields == [47, 31, 31]  # the last in an image of half the size: 3 + 2 * 30 = 63 of the whole
    assert len(pix2pix.generator.unet.down) + 1 == len(bicycle.generator.unet.down) + 1 == 6


def test_pix2pix_draws_by_dropout_at_inference_too():
    generator = Translator(2, widths=WIDTHS, code_channels=0).eval()
    encoded, items = generator.encode(torch.randn(1, 2, 16, 16)), torch.zeros(2, dtype=torch.long)
    images = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        images.append(generator.decode(encoded, items, generator.draw(2)))
    assert torch.equal(images[0], images[1])
    assert (images[0] - images[2]).abs().max() > 1e-4
    assert (images[0][0] - images[0][1]).abs().max() > 1e-4


def test_pix2pix_drops_half_behind_the_three_coarsest_stages_of_the_decoder():
    torch.manual_seed(0)
    generator = Translator(2, code_channels=0, widths=(4, 8, 16, 16, 16, 16))
    zeros = []
    for stage in generator.unet.up:
        stage.register_forward_hook(lambda _, __, x: zeros.append((x == 0).double().mean().item()))
    generator.decode(
        generator.encode(torch.randn(4, 2, 64, 64)), torch.zeros(4, dtype=torch.long), torch.zeros(4, 0)
    )
    assert zeros[:3] == pytest.approx([0.5] * 3, abs=0.1)
    assert zeros[3:] == pytest.approx([0.0] * 2, abs=0.05)


def test_units_are_brought_there_and_back():
    images = torch.rand(2, 3, 4, 4)
    standard = Translator.standardise(images)
    assert standard.min() >= -1
    torch.testing.assert_close((standard + 1) / 2, images)


def test_the_discriminator_sees_the_condition():
    torch.manual_seed(0)
    discriminator = ConditionalDiscriminator(2, widths=WIDTHS, scales=1, strided=2)
    images = torch.rand(1, 3, 32, 32)
    one, other = (discriminator(condition, images)[0] for condition in torch.randn(2, 1, 2, 32, 32))
    assert (one - other).abs().max() > 1e-4


def test_pix2pix_losses_are_least_squares_and_l1():
    torch.manual_seed(0)
    gan = Pix2Pix(2, width=4)
    conditions, images = torch.randn(2, 2, 64, 64), torch.rand(2, 3, 64, 64)
    torch.manual_seed(3)
    found = gan(conditions, images)
    torch.manual_seed(3)
    fake = gan.generator.from_encoded(conditions, torch.zeros(2, 0))
    real = 2 * images - 1
    torch.testing.assert_close(found.reconstruction, 100 * F.l1_loss(fake, real))
    deceived, of_real = (gan.discriminator(conditions, shown) for shown in (fake, real))
    torch.testing.assert_close(found.adversarial, least_squares(deceived, real=True))
    wanted = (least_squares(of_real, real=True) + least_squares(deceived, real=False)) / 2
    torch.testing.assert_close(found.discrimination, wanted)
    assert found.kl.item() == found.latent.item() == 0


@pytest.mark.parametrize("kind", [Pix2Pix, ImageBicycleGAN])
def test_each_network_learns_from_its_own_loss(kind):
    gan = kind(2, width=2)
    conditions, images = torch.randn(1, 2, 32, 32), torch.rand(1, 3, 32, 32)
    discriminators = {
        name for name, _ in gan.named_parameters() if name.startswith(("discriminator", "discriminators"))
    }

    def learns(loss):
        gan.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        return {name for name, p in gan.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}

    found = gan(conditions, images)
    assert learns(found.discrimination) == discriminators
    assert not learns(found.adversarial + found.reconstruction) & discriminators
    everything = {name for name, _ in gan.named_parameters()}
    assert learns(found.total) == everything


@pytest.mark.parametrize("kind", [Pix2Pix, ImageBicycleGAN])
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_small_and_odd_images(kind, size):
    gan = kind(2, width=2)
    found = gan(torch.randn(1, 2, *size), torch.rand(1, 3, *size))
    assert found.total.isfinite()
    found.total.backward()


@pytest.mark.parametrize("kind", [Pix2Pix, ImageBicycleGAN])
def test_images_that_are_too_small(kind):
    with pytest.raises(InputError, match="images are 40x16: the adversarial generators take at least 32"):
        kind(2, width=2)(torch.randn(1, 2, 16, 40), torch.rand(1, 3, 16, 40))


def test_codes_and_conditions_of_others():
    generator = Translator(2, widths=WIDTHS)
    encoded, items = generator.encode(torch.randn(1, 2, 16, 16)), torch.zeros(1, dtype=torch.long)
    with pytest.raises(InputError, match=r"the code has the shape \(5,\), the generator takes \(8,\)"):
        generator.decode(encoded, items, torch.randn(1, 5))
    with pytest.raises(InputError, match=r"the generator takes \[B, 2, H, W\]"):
        generator.encode(torch.randn(1, 3, 16, 16))
    with pytest.raises(InputError, match="0 codes: give at least 1"):
        generator.draw(0)
