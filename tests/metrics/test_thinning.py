import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessella.metrics.thinning import thinned


def of_opencv(mask: np.ndarray) -> np.ndarray:
    """The same thinning, pixel by pixel."""
    picture = np.where(mask, np.uint8(255), np.uint8(0))
    return cv2.ximgproc.thinning(picture, thinningType=cv2.ximgproc.THINNING_GUOHALL) > 0


@settings(deadline=None, max_examples=100)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 200),
    share=st.sampled_from([0.2, 0.5, 0.8, 0.95]),
    seed=st.integers(0, 2**31),
)
def test_equals_opencv_on_noise(height: int, width: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    before = mask.copy()
    np.testing.assert_array_equal(thinned(mask), of_opencv(mask))
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("width", [63, 64, 65, 300])
def test_equals_opencv_on_wide_regions(width: int) -> None:
    coarse = np.random.default_rng(width).random((12, 2 + width // 16))
    mask = cv2.resize(coarse, (width, 120)) < 0.6
    np.testing.assert_array_equal(thinned(mask), of_opencv(mask))


def test_a_bar_becomes_the_line_in_its_middle() -> None:
    mask = np.zeros((30, 90), dtype=bool)
    mask[5:25, 60:69] = True
    assert np.argwhere(thinned(mask)[12:18])[:, 1].tolist() == [64] * 6
