import math

import pytest
import torch
from torch import Tensor

from tessella.errors import InputError
from tessella.training.losses import SegmentationLoss


def naive_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> float:
    """The mean over labelled pixels, pixel by pixel."""
    classes = logits.shape[1]
    weights = torch.ones(classes, dtype=torch.float64) if weights is None else weights.double()
    total, norm = 0.0, 0.0
    for b in range(logits.shape[0]):
        for y in range(logits.shape[2]):
            for x in range(logits.shape[3]):
                label = int(labels[b, y, x])
                if label == 255:
                    continue
                log_p = logits[b, :, y, x].double().log_softmax(0)
                for k in range(classes):
                    target = (1 - smoothing) * (k == label) + smoothing / classes
                    total -= float(target * weights[k] * log_p[k])
                norm += float(weights[label])
    return total / norm


@pytest.mark.parametrize("weights", [None, [1.0, 0.2, 3.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_naive_sum(weights: list[float] | None, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator)
    labels[0, :2] = 255
    loss = SegmentationLoss(class_weights=weights, label_smoothing=smoothing)(logits, labels)
    expected = naive_loss(logits, labels, None if weights is None else torch.tensor(weights), smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_auxiliary_logits_count_by_their_weight() -> None:
    logits, auxiliary = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    labels = torch.randint(0, 3, (1, 4, 4))
    plain = SegmentationLoss()
    both = SegmentationLoss(auxiliary_weight=0.4)(logits, labels, [auxiliary])
    assert both.item() == pytest.approx(
        plain(logits, labels).item() + 0.4 * plain(auxiliary, labels).item(), rel=1e-5
    )


@pytest.mark.parametrize("weights", [None, [1.0, 2.0]])
def test_unlabelled_batch_has_zero_loss_and_gradient(weights: list[float] | None) -> None:
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    loss = SegmentationLoss(class_weights=weights)(logits, torch.full((1, 3, 3), 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_ignored_pixels_have_no_gradient() -> None:
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    labels = torch.zeros(1, 3, 3, dtype=torch.int64)
    labels[0, 0] = 255
    SegmentationLoss()(logits, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, 0] == 0).all()
    assert (logits.grad[0, :, 1:] != 0).all()


def test_half_precision_logits_are_summed_in_full() -> None:
    logits = torch.tensor([[[[4.0]], [[0.0]]]], dtype=torch.bfloat16)
    loss = SegmentationLoss()(logits, torch.zeros(1, 1, 1, dtype=torch.int64))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-4)), rel=1e-5)


def test_wrong_settings() -> None:
    with pytest.raises(InputError, match="label_smoothing"):
        SegmentationLoss(label_smoothing=1.0)
    with pytest.raises(InputError, match="class_weights has 2 entries, the network 3 classes"):
        SegmentationLoss(class_weights=[1, 2])(
            torch.randn(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
        )
