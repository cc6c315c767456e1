"""What each defence does to posteriors that are known."""

import hashlib
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.inference import Predictor
from tessella.membership_inference.black_box import what_is_wrong
from tessella.membership_inference.defences import (
    FLOOR,
    Argmax,
    Dropout,
    Gaussian,
    Rounded,
    SynFeat,
    Temperature,
    TopK,
    noise_of,
)

IMAGES = torch.randint(0, 256, (2, 3, 12, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
LOGITS = 2 * torch.randn(2, 5, 12, 16, generator=torch.Generator().manual_seed(1))
POSTERIORS = LOGITS.softmax(1)


def box(images):
    """Knows two images; of one alone, which of them it is."""
    return torch.stack([POSTERIORS[int((image != IMAGES[0]).any())] for image in images])


DEFENCES = [
    Argmax(box),
    Gaussian(box, 0.5),
    Gaussian(box, 1.0, b"secret"),
    Rounded(box, 1),
    Rounded(box, 0),
    Rounded(box, 7),
    TopK(box, 2),
    Temperature(box, 3.0),
    Rounded(Gaussian(Temperature(box, 2.0)), 2),
]


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: type(defence).__name__)
def test_answers_are_posteriors_and_the_same_when_asked_again(defence):
    answer = defence(IMAGES)
    assert what_is_wrong(answer, IMAGES, 5) == ""
    assert torch.equal(defence(IMAGES), answer)
    assert torch.equal(defence(IMAGES[1:]), answer[1:])


def test_labels_alone():
    answer = Argmax(box)(IMAGES)
    assert torch.equal(answer.argmax(1), POSTERIORS.argmax(1))
    assert ((answer == 0) | (answer == 1)).all()


def test_noise_on_the_predicted_class():
    """The others keep their proportions; noise has the variance asked for, but for what the floor cuts off."""
    answer = Gaussian(box, 0.01)(IMAGES)
    predicted = POSTERIORS.argmax(1, keepdim=True)
    others = torch.ones_like(POSTERIORS).scatter(1, predicted, 0) > 0
    ratio = (answer / POSTERIORS)[others].view(2, -1)
    scale = (answer / POSTERIORS).where(others, 0).amax(1, keepdim=True)
    torch.testing.assert_close((answer / scale).where(others, POSTERIORS), POSTERIORS)
    noise = (answer / scale - POSTERIORS).gather(1, predicted)
    uncut = POSTERIORS.gather(1, predicted) > 0.5
    assert float(noise[uncut].std()) == pytest.approx(0.1, rel=0.15)
    assert ratio.std() > 0
    unnormalised = Gaussian(box, 9.0)(IMAGES) / (Gaussian(box, 9.0)(IMAGES) / POSTERIORS).where(
        others, 0
    ).amax(1, keepdim=True)
    assert float(unnormalised.min()) >= FLOOR * 0.99 or float(POSTERIORS.min()) < FLOOR
    assert not torch.equal(Gaussian(box, 0.01, b"other")(IMAGES), answer)


def test_secrets_of_any_length():
    """Up to 64 bytes noise is BLAKE2b's own keyed hash of the image; every byte of a longer one counts."""
    image = IMAGES[0]
    for secret in (b"", b"secret", b"s" * 64):
        digest = hashlib.blake2b(image.numpy().tobytes(), digest_size=8, key=secret).digest()
        assert noise_of(secret, image).initial_seed() == int.from_bytes(digest, "little") >> 1
    seeds = {
        noise_of(secret, image).initial_seed()
        for secret in (b"s" * 64, b"s" * 65, b"s" * 64 + b"t", b"s" * 1000)
    }
    assert len(seeds) == 4


def test_rounding():
    answer = Rounded(box, 1)(IMAGES)
    expected = (POSTERIORS * 10).round() / 10
    torch.testing.assert_close(answer, expected / expected.sum(1, keepdim=True))
    flat = torch.full((1, 5, 2, 2), 0.2)
    assert torch.equal(Rounded(lambda images: flat, 0)(IMAGES), flat)


def test_the_largest_few():
    answer = TopK(box, 2)(IMAGES)
    assert ((answer > 0).sum(1) == 2).all()
    largest, second = POSTERIORS.sort(1, descending=True).values[:, :2].unbind(1)
    torch.testing.assert_close(answer.amax(1), largest / (largest + second))
    torch.testing.assert_close(TopK(box, 9)(IMAGES), POSTERIORS)


def test_temperature_divides_logits():
    torch.testing.assert_close(Temperature(box, 3.0)(IMAGES), (LOGITS / 3).softmax(1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), nn.Dropout2d(0.1), nn.Conv2d(16, 5, 1)
        )

    def forward(self, images):
        return self.body(images.float() / 255).softmax(1)


def test_dropout_at_test():
    torch.manual_seed(0)
    network = Net().eval()
    plain = network(IMAGES)
    answer = Dropout(network, network, 0.5)(IMAGES)
    assert not torch.equal(answer, plain)
    assert torch.equal(Dropout(network, network, 0.5)(IMAGES), answer)
    assert torch.equal(Dropout(network, network, 0.5)(IMAGES[1:]), answer[1:])
    assert not torch.equal(Dropout(network, network, 0.5, b"x")(IMAGES), answer)
    assert torch.equal(Dropout(network, network, 0.0)(IMAGES), plain)
    assert torch.equal(network(IMAGES), plain)  # nothing is left of it
    assert network.body[2].p == 0.1
    predictor = Predictor(network.body)  # which puts the network in evaluation mode itself
    of_floats = lambda images: predictor(images.float() / 255)  # noqa: E731
    torch.testing.assert_close(Dropout(of_floats, network, 0.5)(IMAGES), answer)
    with pytest.raises(InputError, match="Conv2d has no dropout layer"):
        Dropout(network, nn.Conv2d(3, 5, 1))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_dropout_leaves_the_chance_of_the_networks_device_alone(device):
    """Images may lie elsewhere; and the answer is the same whatever was drawn before."""
    network = Net().eval().to(device)

    def predict(images):
        return network(images.to(device)).cpu()

    chance = torch.cuda.get_rng_state if device == "cuda" else torch.get_rng_state
    before = chance()
    answer = Dropout(predict, network, 0.5)(IMAGES)
    assert torch.equal(chance(), before)
    torch.rand(5, device=device)
    assert torch.equal(Dropout(predict, network, 0.5)(IMAGES), answer)


def test_dropout_forks_every_device_of_the_network(monkeypatch):
    forked = []

    class OnTwo(Net):
        def parameters(self):
            for device in ("cpu", "cuda:0", "cuda:1", "cuda:1"):
                yield SimpleNamespace(device=torch.device(device), is_cuda=device != "cpu")

    monkeypatch.setattr(
        torch.random, "fork_rng", lambda devices: forked.append(set(devices)) or nullcontext()
    )
    network = OnTwo().eval()
    Dropout(network, network, 0.5)(IMAGES[:1])
    assert forked == [{torch.device("cuda:0"), torch.device("cuda:1")}]


@pytest.mark.parametrize("strength", [0.0, 0.75, 1.0])
def test_synthetic_features(strength):
    """Equation 7.1, with the mask where labels differ."""
    other = (LOGITS.flip(0) + 0.7 * LOGITS).softmax(1)
    answer = SynFeat(
        encode=lambda images: torch.zeros(1),
        decode=lambda feature, size: POSTERIORS if float(feature) == 0 else other,
        generate=lambda posteriors: torch.ones(1),
        strength=strength,
    )(IMAGES)
    differ = (POSTERIORS.argmax(1) != other.argmax(1))[:, None].expand_as(other)
    assert 0.1 < differ.float().mean() < 0.9
    torch.testing.assert_close(answer[~differ], other[~differ])
    torch.testing.assert_close(answer[differ], ((1 - strength) * POSTERIORS + strength * other)[differ])
    if strength == 0:
        assert torch.equal(answer.argmax(1), POSTERIORS.argmax(1))
    if strength == 1:
        assert torch.equal(answer, other)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gaussian(box, -1), "variance: -1"),
        (lambda: Rounded(box, -1), "digits: -1; give 0 to 7"),
        (lambda: Rounded(box, 50), "digits: 50; give 0 to 7"),
        (lambda: TopK(box, 0), "k: 0"),
        (lambda: Temperature(box, 0), "temperature: 0"),
        (lambda: Dropout(box, nn.Dropout(), 1), "ratio: 1"),
        (lambda: SynFeat(box, box, box, 2), "strength: 2"),
    ],
)
def test_strengths_out_of_range(build, message):
    with pytest.raises(InputError, match=message):
        build()
