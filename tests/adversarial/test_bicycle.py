"""BicycleGAN's objective against its own order of backward passes."""

import pytest
import torch

from tessella.adversarial import BicycleGAN, CodeEncoder, kl_to_standard_normal, least_squares
from tessella.feature_synthesis import FeatureDiscriminator, FeatureGenerator, one_hot_layout


@pytest.fixture
def gan():
    torch.manual_seed(0)
    discriminator = lambda: FeatureDiscriminator(6, 16, reduction_width=4, widths=(8, 8))  # noqa: E731
    gan = BicycleGAN(
        FeatureGenerator(6, 16, reduction_width=4, widths=(8, 8)),
        CodeEncoder(16, 8, (8, 8)),
        discriminator(),
        discriminator(),
    )
    gan.generator.mean.fill_(0.5)
    gan.generator.std.fill_(2.0)
    return gan.double()


def inputs():
    torch.manual_seed(1)
    return one_hot_layout(torch.randint(0, 5, (2, 64, 80)), 5).double(), torch.randn(2, 16, 8, 10).double()


def gradients(module):
    return [None if p.grad is None else p.grad.clone() for p in module.parameters()]


def test_one_backward_pass_equals_the_authors_four(gan):
    layouts, features = inputs()
    torch.manual_seed(2)
    gan(layouts, features).total.backward()
    joint = gradients(gan)

    gan.zero_grad()
    torch.manual_seed(2)
    generator, encoder, (first, second) = gan.generator, gan.encoder, gan.discriminators
    real = generator.standardise(features)
    mean, log_variance = encoder(real)
    code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    random = torch.randn_like(mean)

    def make(codes):
        return generator.from_encoded(generator.encode_condition(layouts, (8, 10)), codes)

    def judge(discriminator, feature):
        return discriminator(discriminator.encode_condition(layouts, (8, 10)), feature)

    fakes = make(code), make(random)
    # Generator and encoder.
    loss = 10 * (fakes[0] - real).abs().mean() + 0.01 * kl_to_standard_normal(mean, log_variance)
    loss = loss + sum(
        least_squares(judge(d, f), real=True) for d, f in zip((first, second), fakes, strict=True)
    )
    loss.backward(retain_graph=True)
    of_encoder = gradients(encoder)
    # The code found again: the generator alone.
    (0.5 * (encoder(fakes[1])[0] - random).abs().mean()).backward()
    of_generator = gradients(generator)
    # Discriminators, by features made before the generator's step.
    gan.zero_grad()
    for discriminator, fake in zip((first, second), fakes, strict=True):
        of_real = least_squares(judge(discriminator, real), real=True)
        of_fake = least_squares(judge(discriminator, fake.detach()), real=False)
        ((of_real + of_fake) / 2).backward()
    apart = of_generator + of_encoder + gradients(gan.discriminators)
    assert len(joint) == len(apart)
    for ours, theirs in zip(joint, apart, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_updates_whom(gan):
    layouts, features = inputs()
    parts = {
        "generator": gan.generator,
        "encoder": gan.encoder,
        "discriminators": gan.discriminators,
    }
    touched = {}
    for term in ("adversarial", "reconstruction", "kl", "latent", "discrimination"):
        gan.zero_grad()
        getattr(gan(layouts, features), term).backward()
        touched[term] = {
            name
            for name, part in parts.items()
            if any(g is not None and g.abs().max() > 0 for g in gradients(part))
        }
    assert touched == {
        "adversarial": {"generator", "encoder"},
        "reconstruction": {"generator", "encoder"},
        "kl": {"encoder"},
        "latent": {"generator"},
        "discrimination": {"discriminators"},
    }
    assert all(p.requires_grad for p in gan.parameters())
