"""A model as it is served: its defences, their noise, and what it is called."""

import pytest
import torch
from tests.runs.test_defended import network  # noqa: F401

from tessella.runs.defended import defended
from tessella.runs.model import Model
from tessella.runs.serving import in_url, name_of, served

IMAGE = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def answer(network, *defences, secret=b"s" * 32, **more):  # noqa: F811
    options = {"name": "x", "posteriors": True, "compare": False, **more}
    return served(Model(network), torch.device("cpu"), defences=defences, secret=secret, **options)


def noise(network, defended_answer, variance):  # noqa: F811
    """What was added to the predicted class, in deviations."""
    with torch.inference_mode():
        plain, noisy = answer(network).answer(IMAGE), defended_answer(IMAGE)
    predicted = plain.argmax(1, keepdim=True)
    others = [1 - each.gather(1, predicted) for each in (plain, noisy)]
    return ((others[0] / others[1] - 1) / variance**0.5).flatten()


def test_noise_is_of_the_secret_the_model_and_the_defence(network):  # noqa: F811
    def served_noise(variance, **more):
        return noise(network, answer(network, f"gaussian={variance}", **more).answer, variance)

    def shared(one, other):
        return float(torch.corrcoef(torch.stack([one, other]))[0, 1].abs())

    first = served_noise(0.0001)
    assert torch.equal(first, served_noise(0.0001))
    assert shared(first, served_noise(0.0001, secret=b"t" * 32)) < 0.2
    assert shared(first, served_noise(0.0004)) < 0.2
    # Of one secret alone it would be the same noise, which two strengths give away.
    of_one = [
        noise(network, defended(Model(network), network, [f"gaussian={variance}"], "", b"s"), variance)
        for variance in (0.0001, 0.0004)
    ]
    assert shared(*of_one) > 0.9
    with torch.no_grad():
        next(network.parameters()).mul_(1 + 1e-6)
    assert shared(first, served_noise(0.0001)) < 0.2


def test_what_is_served(network):  # noqa: F811
    what = answer(network)
    assert (what.classes, what.channels, what.undefended) == (("0", "1", "2"), 3, None)
    assert what.palette.shape == (3, 3)
    labels = answer(network, "argmax", posteriors=False, compare=True)
    with torch.inference_mode():
        expected = what.answer(IMAGE).argmax(1)
        assert torch.equal(labels.answer(IMAGE).long(), expected)
        assert torch.equal(labels.undefended(IMAGE).long(), expected)


def test_defences_may_be_written_with_a_colon(network):  # noqa: F811
    with torch.inference_mode():
        one, other = (defended(Model(network), network, [text])(IMAGE) for text in ("rounded:1", "rounded=1"))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("runs/camvid", "camvid"),
        ("a/best.ckpt", "best"),
        ("my net.py:network", "network"),
        ("{x:bad}", "x-bad"),
        ("..", "model"),
    ],
)
def test_names_that_need_no_quoting(source, name):
    assert in_url(name_of(source)) == name
