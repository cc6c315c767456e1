"""Flow of pictures whose motion is known."""

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling.flow import _matches, consistent, interpolated_flow, optical_flow, positions


def texture(height=120, width=160, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def shifted(image, right, down):
    return cv2.warpAffine(
        image, np.float32([[1, 0, right], [0, 1, down]]), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )


@pytest.mark.parametrize("method", [optical_flow, interpolated_flow])
def test_a_shifted_picture(method):
    image = texture()
    flow = method(image, shifted(image, 3, -2))
    inner = flow[20:-20, 20:-20]
    assert flow.shape == (120, 160, 2)
    np.testing.assert_allclose(inner, np.broadcast_to((3, -2), inner.shape), atol=0.3)


def test_interpolation_stops_at_a_boundary():
    """Two halves that move apart."""
    image = texture()
    second = np.concatenate([shifted(image, -3, 0)[:, :80], shifted(image, 3, 0)[:, 80:]], axis=1)
    boundaries = np.zeros((120, 160), np.float32)
    boundaries[:, 79:81] = 1
    flow = interpolated_flow(image, second, boundaries)
    assert np.abs(flow[20:-20, 20:70, 0] + 3).mean() < 0.5
    assert np.abs(flow[20:-20, 90:-20, 0] - 3).mean() < 0.5


def test_matches_lie_wider_apart_where_opencv_would_be_given_too_many():
    large = np.ones((1024, 2048), bool)
    rows, columns = _matches(large[:-8])
    assert set(np.diff(np.unique(rows))) == set(np.diff(np.unique(columns))) == {8}
    rows, columns = _matches(large)  # 128 x 256 at every 8
    assert set(np.diff(np.unique(rows))) == set(np.diff(np.unique(columns))) == {9}
    assert rows.max() < 1024
    assert columns.max() < 2048
    large[500:600] = False
    rows, columns = _matches(large)
    assert large[rows, columns].all()
    assert len(rows) > 28000


def test_consistent_where_going_there_and_back_leads_home():
    forward = np.full((20, 30, 2), (4.0, 0), np.float32)
    kept = consistent(forward, -forward)
    assert kept[:, :26].all()
    assert not kept[:, 26:].any()  # that leads outside
    backward = -forward
    backward[5:9] = 3
    assert not consistent(forward, backward)[5:9].any()


def test_positions():
    x, y = positions(np.full((4, 5, 2), (0.5, -1), np.float32))
    assert x[2].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert y[:, 0].tolist() == [-1, 0, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((8, 9, 3), np.uint8), np.zeros((9, 8, 3), np.uint8), r"frames of \[8, 9\] and \[9, 8\]"),
        (np.zeros((8, 9, 3)), np.zeros((8, 9, 3)), "a frame is float64"),
        (*np.zeros((2, 8, 9, 3), np.uint8), r"frames of \[8, 9\] pixels are too small for flow: give 12x12"),
    ],
)
def test_bad_frames(first, second, message):
    with pytest.raises(InputError, match=message):
        optical_flow(first, second)


def test_boundaries_or_flow_of_another_size():
    image = texture()
    with pytest.raises(InputError, match=r"boundaries are \[120, 161\], the image \[120, 160\]"):
        interpolated_flow(image, image, np.zeros((120, 161), np.float32))
    with pytest.raises(InputError, match=r"flow is \[60, 80, 2\], the image \[120, 160\]"):
        interpolated_flow(image, image, flow=lambda first, second: np.zeros((60, 80, 2), np.float32))
