"""Answers that are no posteriors are refused in words that say what to do."""

import pytest
import torch

from tessella.errors import InputError
from tessella.membership_inference.black_box import checked
from tessella.membership_inference.defences import Argmax

IMAGES = torch.zeros(2, 3, 6, 8, dtype=torch.uint8)


def posteriors(classes=5, dtype=torch.float32):
    return torch.randn(2, classes, 6, 8, generator=torch.Generator().manual_seed(0)).softmax(1).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_posteriors_pass(dtype):
    answer = posteriors(dtype=dtype)
    assert checked(lambda images: answer, 5)(IMAGES) is answer


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64, torch.uint16])
def test_label_maps_are_posteriors_of_0_and_1(dtype):
    labels = posteriors().argmax(1)
    for answer in (labels.to(dtype), labels[:, None].to(dtype)):
        found = checked(lambda images, answer=answer: answer, 5)(IMAGES)
        assert torch.equal(found, Argmax(lambda images: posteriors())(IMAGES))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.randn(2, 5, 6, 8), "as of logits; put a softmax"),
        (2 * posteriors(), "sums to 1 but for 1; divide by the sum"),
        (posteriors(7), "7 classes where the labels have 5"),
        (posteriors()[:, :, ::2, ::2], r"\[3, 4\] where images are \[6, 8\]; resize"),
        (posteriors()[0], r"shape is \[5, 6, 8\]"),
        (posteriors().argmax(1)[0], r"int64 \[6, 8\]; label maps \[2, 6, 8\] are needed"),
        (posteriors().mul(255).byte(), r"uint8 \[2, 5, 6, 8\]; label maps \[2, 6, 8\]"),
        (posteriors().argmax(1).add(2), "gives label 6, and there are 5 classes, from 0 on"),
        (posteriors().argmax(1).sub(5).int(), "gives label -5, and"),
        (None, r"it is of type NoneType; give a torch.Tensor \[2, 5, 6, 8\]"),
        (posteriors().numpy(), "it is of type numpy.ndarray; give a torch.Tensor"),
        (posteriors().masked_fill(posteriors() > 0.9, torch.nan), "not finite"),
    ],
)
def test_what_else_is_said(answer, message):
    with pytest.raises(InputError, match=message):
        checked(lambda images: answer, 5)(IMAGES)
