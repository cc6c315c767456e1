import math

import pytest
import torch
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics import CalibrationError


def posteriors_and_target(seed: int, num_classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    posteriors = (3 * torch.randn(2, num_classes, 8, 9, generator=generator)).softmax(1)
    target = torch.randint(0, num_classes, (2, 8, 9), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    return posteriors, target


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_equals_a_naive_loop(bins: int) -> None:
    posteriors, target = posteriors_and_target(0)
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for pixel, truth in zip(posteriors.movedim(1, -1).reshape(-1, 4), target.flatten(), strict=True):
        if truth != 255:
            confidence = pixel.max().item()
            number = next(b for b in range(bins) if confidence <= (b + 1) / bins)
            members[number].append((confidence, bool(pixel.argmax() == truth)))
    total = sum(map(len, members))
    ece = 0.0
    error = CalibrationError(bins)
    error.update(posteriors, target)
    result = error.compute()
    for b, pixels in enumerate(members):
        assert result.count[b] == len(pixels)
        if not pixels:
            assert result.confidence[b].isnan()
            assert result.accuracy[b].isnan()
            continue
        confidence = sum(c for c, _ in pixels) / len(pixels)
        accuracy = sum(right for _, right in pixels) / len(pixels)
        assert result.confidence[b].item() == pytest.approx(confidence)
        assert result.accuracy[b].item() == pytest.approx(accuracy)
        ece += len(pixels) / total * abs(accuracy - confidence)
    assert result.ece == pytest.approx(ece)


def test_by_hand() -> None:
    # Three pixels of confidence 0.8, two right; one sure and right; one ignored.
    posteriors = torch.tensor([[0.8, 0.2, 0.8, 1.0, 0.5], [0.2, 0.8, 0.2, 0.0, 0.5]]).view(2, 1, 5)
    target = torch.tensor([[0, 1, 1, 0, 255]])
    error = CalibrationError(bins=10)
    error.update(posteriors, target)
    result = error.compute()
    assert result.count.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 3, 1]  # 0.8 in float32 is a little more than 0.8
    assert result.ece == pytest.approx(3 / 4 * (0.8 - 2 / 3), abs=1e-6)


def test_batches_merges_and_pixel_order_do_not_matter() -> None:
    whole, first, second = CalibrationError(), CalibrationError(), CalibrationError()
    posteriors, target = posteriors_and_target(1)
    whole.update(posteriors, target)
    first.update(posteriors[:1], target[:1])
    second.update(posteriors[1].flip(-1), target[1].flip(-1))
    first.merge(second)
    assert first.compute().ece == pytest.approx(whole.compute().ece)
    assert first.all_reduce().compute().ece == pytest.approx(whole.compute().ece)
    first.reset()
    assert math.isnan(first.compute().ece)


def test_permuting_the_classes_keeps_the_error() -> None:
    posteriors, target = posteriors_and_target(2)
    names = torch.tensor([2, 0, 3, 1])
    renamed, plain = CalibrationError(), CalibrationError()
    plain.update(posteriors, target)
    renamed.update(
        posteriors[:, names.argsort()], torch.where(target == 255, 255, names[target.clamp(max=3)])
    )
    assert renamed.compute().ece == pytest.approx(plain.compute().ece)


def test_perfect_calibration_has_little_error_and_overconfidence_shows() -> None:
    generator = torch.Generator().manual_seed(0)
    posteriors = torch.randn(1, 5, 200, 200, generator=generator).softmax(1)
    drawn = torch.multinomial(posteriors[0].reshape(5, -1).T, 1, generator=generator).view(1, 200, 200)
    calibrated, overconfident = CalibrationError(), CalibrationError()
    calibrated.update(posteriors, drawn)
    overconfident.update((10 * posteriors.log()).softmax(1), drawn)
    assert calibrated.compute().ece < 0.01
    assert overconfident.compute().ece > 0.3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    posteriors, target = posteriors_and_target(3, num_classes=150)
    error, reference = CalibrationError(), CalibrationError()
    error.update(posteriors.to(dtype), target)
    reference.update(posteriors, target)
    assert error.compute().ece == pytest.approx(reference.compute().ece, abs=0.02)


def test_sums_of_merged_classes_that_exceed_one_a_little() -> None:
    """In float32 they do, by some 4e-7."""
    error = CalibrationError(bins=10)
    error.update(torch.tensor([1 + 5e-7, -5e-7]).view(2, 1, 1), torch.zeros(1, 1, dtype=torch.long))
    result = error.compute()
    assert result.count.tolist() == [*[0] * 9, 1]
    assert (result.confidence[-1].item(), result.ece) == (1, 0)
    with pytest.raises(InputError, match="do not sum to 1"):
        error.update(torch.tensor([1.5, -0.5]).view(2, 1, 1), torch.zeros(1, 1, dtype=torch.long))


def test_bad_input() -> None:
    posteriors, target = posteriors_and_target(4)
    error = CalibrationError()
    with pytest.raises(InputError, match="softmax"):
        error.update(posteriors.log(), target)
    with pytest.raises(InputError, match="softmax"):
        error.update(posteriors * math.nan, target)
    with pytest.raises(InputError, match=r"dtype torch\.int64; give softmax"):
        error.update(posteriors.long(), target)
    with pytest.raises(InputError, match="label 9 "):
        error.update(posteriors, target.fill_(9))
    with pytest.raises(InputError, match="expected shape"):
        error.update(posteriors, target[:, :3])
    with pytest.raises(InputError, match="bins is 0"):
        CalibrationError(0)
    with pytest.raises(InputError, match="15 and 10 bins"):
        error.merge(CalibrationError(10))
    with pytest.raises(InputError, match="ignore 255 and 0"):
        error.merge(CalibrationError(ignore_index=0))
    assert error.count.sum() == 0
