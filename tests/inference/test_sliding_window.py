from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from tessella.errors import InputError
from tessella.inference import Windows, logits, posteriors, sliding_window
from tessella.inference.sliding_window import WindowWeights, window_starts, window_weights


def pointwise(classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Tanh(), nn.Conv2d(8, classes, 1))


def with_context() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1))


def naive_sliding_window(network: nn.Module, image: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Each pixel's weighted mean by itself, over a full-size list of padded windows."""
    height, width = image.shape[2:]
    big = functional.pad(image, (0, max(windows.width - width, 0), 0, max(windows.height - height, 0)))
    weights = window_weights(windows).double()
    placed = []
    for top in window_starts(height, windows.height, windows.overlap):
        for left in window_starts(width, windows.width, windows.overlap):
            crop = big[:, :, top : top + windows.height, left : left + windows.width]
            with torch.no_grad():
                placed.append((top, left, network(crop).double()))
    result = torch.zeros(*placed[0][2].shape[:2], height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            numerator = torch.zeros(result.shape[:2], dtype=torch.float64)
            denominator = 0.0
            for top, left, scores in placed:
                if top <= y < top + windows.height and left <= x < left + windows.width:
                    weight = weights[y - top, x - left]
                    numerator += weight * scores[:, :, y - top, x - left]
                    denominator += float(weight)
            result[:, :, y, x] = numerator / denominator
    return result.float()


@pytest.mark.parametrize("weights", ["constant", "gaussian"])
@pytest.mark.parametrize("size", [(11, 9), (5, 17), (4, 3), (8, 6), (6, 8), (1, 20)])
def test_equals_a_loop_over_pixels(size: tuple[int, int], weights: WindowWeights) -> None:
    network, image = with_context(), torch.randn(2, 3, *size)
    windows = Windows(6, 8, overlap=0.4, weights=weights, batch=3)
    torch.testing.assert_close(
        sliding_window(partial(logits, network), image, windows),
        naive_sliding_window(network, image, windows),
    )


@pytest.mark.parametrize("weights", ["constant", "gaussian"])
@pytest.mark.parametrize("size", [(33, 47), (7, 5), (64, 16)])
def test_equals_the_whole_image_where_the_network_looks_at_one_pixel(
    size: tuple[int, int], weights: WindowWeights
) -> None:
    network, image = pointwise(), torch.randn(2, 3, *size)
    windows = Windows(16, 12, weights=weights, batch=2)
    torch.testing.assert_close(
        sliding_window(partial(posteriors, network), image, windows), posteriors(network, image)
    )


def test_a_window_of_the_images_size_equals_the_whole_image() -> None:
    network, image = with_context(), torch.randn(1, 3, 15, 10)
    torch.testing.assert_close(
        sliding_window(partial(logits, network), image, Windows(15, 10)), logits(network, image)
    )


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_the_number_of_windows_per_pass_does_not_matter_and_is_kept(batch: int) -> None:
    network, image = with_context(), torch.randn(2, 3, 20, 30)
    sizes = []

    def predict(crops: torch.Tensor) -> torch.Tensor:
        sizes.append(len(crops))
        assert crops.shape[1:] == (3, 8, 8)
        return logits(network, crops)

    result = sliding_window(predict, image, Windows(8, 8, batch=batch))
    assert max(sizes) <= 2 * batch
    torch.testing.assert_close(
        result, sliding_window(partial(logits, network), image, Windows(8, 8, batch=1))
    )


def test_constant_scores_stay_constant() -> None:
    result = sliding_window(
        lambda crops: crops.new_ones(crops[:, :2].shape), torch.randn(1, 3, 41, 29), Windows(9, 7)
    )
    torch.testing.assert_close(result, torch.ones(1, 2, 41, 29))


def test_posteriors_of_overlapping_windows_still_sum_to_one() -> None:
    image = torch.randn(1, 3, 25, 25)
    result = sliding_window(partial(posteriors, with_context()), image, Windows(10, 10))
    torch.testing.assert_close(result.sum(1), torch.ones(1, 25, 25))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32(dtype: torch.dtype) -> None:
    """Weights at a window's corner are 0 in float16, and 0 / 0 where no other window lies."""
    image = torch.rand(1, 3, 100, 90)
    result = sliding_window(lambda crops: crops.to(dtype), image, Windows(64, 64))
    torch.testing.assert_close(result, image, rtol=1e-2, atol=1e-3)
    assert result.dtype == torch.float32


def test_no_gradient_is_kept_even_where_the_predictor_keeps_one() -> None:
    assert not sliding_window(pointwise(), torch.randn(1, 3, 9, 9), Windows(4, 4)).requires_grad


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 500), st.integers(1, 200), st.floats(0, 0.99))
def test_windows_cover_every_pixel_and_stay_inside(size: int, window: int, overlap: float) -> None:
    starts = window_starts(size, window, overlap)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] == max(size - window, 0)
    for start, following in pairwise(starts):
        assert 0 < following - start <= window
        assert window - (following - start) >= min(int(overlap * window), window - 1)


def test_steps_of_known_windows() -> None:
    assert window_starts(2048, 713, 1 / 3) == [0, 475, 950, 1335]
    assert window_starts(30, 10, 0.0) == [0, 10, 20]
    assert window_starts(10, 10, 0.5) == [0]
    assert window_starts(3, 10, 0.5) == [0]


def test_gaussian_weights_are_positive_symmetric_and_largest_in_the_middle() -> None:
    weights = window_weights(Windows(33, 17))
    assert weights.shape == (33, 17)
    assert weights[16, 8] == weights.max() == 1
    assert weights.min() > 0
    torch.testing.assert_close(weights, weights.flip(0))
    torch.testing.assert_close(weights, weights.flip(1))
    # exp(-1/2) one standard deviation, an eighth of the side, from the centre
    torch.testing.assert_close(
        window_weights(Windows(1, 800))[0, 500], torch.tensor(0.6065), atol=5e-3, rtol=0
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"height": 0}, "windows: 0x8 pixels"),
        ({"overlap": 1.0}, r"windows.overlap: 1.0; give a share in \[0, 1\)"),
        ({"weights": "hann"}, "windows.weights: 'hann'; give one of"),
        ({"batch": 0}, "windows.batch: 0; give at least 1"),
    ],
)
def test_impossible_windows_are_named(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Windows(**{"height": 8, "width": 8, **fields})
