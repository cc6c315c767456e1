"""Defences by the names and strengths that users give."""

import pytest
import torch

from tessella.errors import InputError
from tessella.networks import PSPNet, ResNet
from tessella.networks.normalized import Normalized
from tessella.runs.defended import defended
from tessella.runs.model import Model

GENERATOR = '''
"""Cuts a PSPNet behind its backbone; in place of a trained generator, features that are the same everywhere."""

import torch
from torch.nn import functional as F


def parts(network):
    inner = network.network

    def encode(images):
        return inner.backbone(network.normalize(images))[-1]

    def decode(features, size):
        logits = inner.cls((features, inner.ppm(features)))
        return F.interpolate(logits, size, mode="bilinear").softmax(1)

    def generate(posteriors):
        height, width = (-(-length // 8) for length in posteriors.shape[2:])
        return torch.ones(len(posteriors), inner.backbone.channels[-1], height, width)

    return encode, decode, generate
'''


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = lambda **options: ResNet(10, width=8, **options)  # noqa: E731
    inner = PSPNet(
        3, backbone=backbone, pyramid_channels=8, head_channels=8, auxiliary_channels=0, dropout=0.1
    )
    return Normalized(inner, [0.5] * 3, [0.25] * 3).eval()


@pytest.fixture
def generator(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GENERATOR)
    return f"{path}:parts"


def answers(network, images, *defences, generator=""):
    with torch.inference_mode():
        return defended(Model(network), network, defences, generator)(images)


def test_each_by_name(network):
    images = torch.randint(0, 256, (1, 3, 32, 40), dtype=torch.uint8)
    plain = answers(network, images)
    for name in ("argmax", "dropout", "gaussian", "rounded", "temperature", "topk"):
        changed = answers(network, images, name)
        assert not torch.equal(changed, plain), name
        torch.testing.assert_close(changed.sum(1), torch.ones(1, 32, 40))
    twice = answers(network, images, "temperature=2", "rounded=1")
    assert set(twice.mul(30).round().unique().tolist()) <= set(range(31))
    assert not torch.equal(twice, answers(network, images, "rounded=1"))


def test_synthetic_features_by_a_function_of_the_users(network, generator):
    images = torch.randint(0, 256, (1, 3, 32, 40), dtype=torch.uint8)
    real = answers(network, images)
    found = {d: answers(network, images, f"synfeat={d}", generator=generator) for d in (0, 1)}
    torch.testing.assert_close(found[0].argmax(1), real.argmax(1))  # by equation 7.1
    assert not torch.allclose(found[1], real, atol=1e-3)
    default = answers(network, images, "synfeat", "argmax", generator=generator)
    assert default.unique().tolist() == [0, 1]


def test_what_is_no_defence(network, generator, tmp_path):
    images = torch.zeros(1, 3, 32, 40, dtype=torch.uint8)
    for defences, message in (
        (["hope"], "choose argmax, averaged, dropout"),
        (["argmax=1"], "argmax has no strength"),
        (["rounded=much"], "'much' is no strength of it"),
        (["synfeat"], "give it first, and its generator as --generator RUN, or FILE.py:FUNCTION"),
    ):
        with pytest.raises(InputError, match=message):
            answers(network, images, *defences)
    with pytest.raises(InputError, match="give it first"):
        answers(network, images, "argmax", "synfeat", generator=generator)
    for where, message in (
        (f"{tmp_path}/none.py:parts", "there is no Python file"),
        (f"{tmp_path}/mine.py:halves", "has no function halves"),
        ("mine.py", "give a file and a function in it"),
    ):
        with pytest.raises(InputError, match=message):
            answers(network, images, "synfeat", generator=where)


def test_what_an_attacker_does_about_noise_comes_last(network):
    images = torch.randint(0, 256, (1, 3, 32, 40), dtype=torch.uint8)
    alone, averaged = (
        answers(network, images, *chain) for chain in (["gaussian=1"], ["gaussian=1", "averaged=9"])
    )
    clear = answers(network, images)
    assert (averaged - clear).abs().mean() < (alone - clear).abs().mean()
    with pytest.raises(InputError, match="averaged is what the attacker does; give it last"):
        answers(network, images, "averaged=2", "argmax")
