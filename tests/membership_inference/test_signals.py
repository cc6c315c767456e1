"""Against loops over pixels."""

import math

import numpy as np
import pytest
import torch

from tessella.membership_inference.signals import (
    AT_POINTS,
    FLOOR,
    OF_IMAGES_ALONE,
    POINTS,
    SIGNALS,
    boundaries,
    class_signals,
    points,
    signals,
)


def some_images(seed=0, batch=3, classes=4, height=7, width=9):
    generator = torch.Generator().manual_seed(seed)
    posteriors = (3 * torch.randn(batch, classes, height, width, generator=generator)).softmax(1)
    labels = torch.randint(0, classes, (batch, height, width), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return posteriors, labels


def by_pixel(posteriors, labels):
    """The definitions, pixel by pixel, in float64."""
    classes, height, width = posteriors.shape
    found = {
        name: [] for name in ("loss", "confidence", "entropy", "modified entropy", "logit", "edge", "correct")
    }
    for y in range(height):
        for x in range(width):
            true = int(labels[y, x])
            if true == 255:
                continue
            p = [float(v) for v in posteriors[:, y, x]]
            found["loss"].append(math.log(max(p[true], FLOOR)))
            found["confidence"].append(max(p))
            found["entropy"].append(sum(v * math.log(v) for v in p if v > 0))
            others = sum(p[c] * math.log(max(1 - p[c], FLOOR)) for c in range(classes) if c != true)
            found["modified entropy"].append((1 - p[true]) * math.log(max(p[true], FLOOR)) + others)
            inside = min(max(p[true], FLOOR), 1 - FLOOR)
            found["logit"].append(math.log(inside) - math.log(1 - inside))
            near = labels[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            if (near != true).any():
                found["edge"].append(found["logit"][-1])
            found["correct"].append(p.index(max(p)) == true)
    return found


def test_signals_are_what_they_are_defined_to_be():
    posteriors, labels = some_images()
    found = signals(posteriors, labels)
    assert found.shape == (3, len(SIGNALS))
    for image in range(3):
        pixels = by_pixel(posteriors[image].double(), labels[image])
        row = dict(zip(SIGNALS, found[image].tolist(), strict=True))
        for name in ("loss", "confidence", "entropy", "modified entropy", "logit", "correct"):
            assert row[name] == pytest.approx(np.mean(pixels[name]), rel=1e-4), name
        assert row["logit, lowest 25%"] == pytest.approx(np.quantile(pixels["logit"], 0.25), rel=1e-4)
        assert row["logit, lowest 1%"] == pytest.approx(np.quantile(pixels["logit"], 0.01), rel=1e-4)
        assert row["logit at boundaries"] == pytest.approx(np.mean(pixels["edge"]), rel=1e-4)


def test_every_signal_is_larger_where_the_model_knows_more():
    posteriors, labels = some_images(1)
    truth = torch.nn.functional.one_hot(labels.where(labels < 255, 0), 4).movedim(-1, 1)
    better = 0.03 * posteriors + 0.97 * truth
    assert (signals(better, labels) >= signals(posteriors, labels)).all()


def test_pixels_without_a_class_do_not_count():
    posteriors, labels = some_images(2)
    changed = torch.where((labels == 255)[:, None], torch.full_like(posteriors, 0.25), posteriors)
    torch.testing.assert_close(signals(changed, labels), signals(posteriors, labels))
    labels[1] = 255
    found = signals(posteriors, labels)
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()


def test_without_labels_all_pixels_count():
    posteriors, labels = some_images(4)
    found = signals(posteriors, None)
    alone = [SIGNALS.index(name) for name in OF_IMAGES_ALONE]
    torch.testing.assert_close(found[:, alone], signals(posteriors, labels.clamp(max=3))[:, alone])
    assert found.isnan().sum() == 3 * (len(SIGNALS) - len(alone))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_posteriors_of_little_precision_are_summed_in_full(kind):
    """A sum of 160,000 of them is beyond float16, and has three digits in bfloat16."""
    posteriors = torch.tensor([0.9, 0.1], dtype=kind)[None, :, None, None].expand(1, 2, 400, 400)
    found = signals(posteriors, torch.zeros(1, 400, 400, dtype=torch.long))
    assert float(found[0, SIGNALS.index("confidence")]) == pytest.approx(float(posteriors[0, 0, 0, 0]))


def test_certainty_stays_finite():
    posteriors = torch.zeros(1, 2, 4, 4)
    posteriors[:, 0] = 1
    for label in (0, 1):
        assert signals(posteriors, torch.full((1, 4, 4), label)).isnan().sum() == 1  # there are no boundaries


def test_signals_of_classes():
    posteriors, labels = some_images(3)
    labels[0][labels[0] == 2] = 1
    found = class_signals(posteriors, labels)
    assert found.shape == (3, 4)
    assert found[0, 2].isnan()
    inside = labels[1] == 3
    expected = posteriors[1, 3][inside].logit().mean()
    torch.testing.assert_close(found[1, 3], expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_type(dtype):
    posteriors, labels = some_images()
    for function in (signals, class_signals):
        expected = function(posteriors, labels)
        torch.testing.assert_close(function(posteriors, labels.to(dtype)), expected, equal_nan=True)


def test_boundaries_are_a_band():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, :, 4:] = 1
    assert boundaries(labels)[0, 3].tolist() == [False, False, True, True, True, True, False, False]
    assert not boundaries(torch.ones(1, 5, 5, dtype=torch.long)).any()


def test_the_loss_at_a_few_points():
    posteriors, labels = some_images(height=60, width=80)
    chosen = points(labels != 255)
    assert (chosen.sum((1, 2)) <= POINTS).all()
    assert (chosen.sum((1, 2)) >= POINTS - 2).all()
    assert not (chosen & (labels == 255)).any()
    torch.testing.assert_close(chosen, points(labels != 255))
    of_these = signals(posteriors, labels.where(chosen, 255))[:, SIGNALS.index("loss")]
    found = signals(posteriors, labels)[:, SIGNALS.index(AT_POINTS)]
    torch.testing.assert_close(found, of_these)
    assert not points(torch.zeros(1, 4, 4, dtype=torch.bool)).any()
