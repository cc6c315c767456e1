import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pictures import depth_picture, flow_picture, flow_wheel, to_rgb8


def test_8_bit_rgb_stays() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(to_rgb8(image), image)


def test_grey_and_two_channels_show_the_first() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 2), dtype=np.uint8)
    for fewer in (image, image[..., :1], image[..., 0]):
        assert np.array_equal(to_rgb8(fewer), np.repeat(image[..., :1], 3, axis=2))


def test_many_channels_show_the_chosen_ones() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 8), dtype=np.uint8)
    assert np.array_equal(to_rgb8(image, channels=(5, 3, 1)), image[..., [5, 3, 1]])
    with pytest.raises(InputError, match=r"\(0, 1, 8\) are not all among the 8"):
        to_rgb8(image, channels=(0, 1, 8))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_other_types_are_stretched_between_percentiles(dtype: type) -> None:
    ramp = np.arange(10_000, dtype=dtype).reshape(100, 100)
    picture = to_rgb8(ramp)[..., 0].ravel()
    assert (np.diff(picture.astype(int)) >= 0).all()
    assert (picture[:101] == 0).all()
    assert (picture[-101:] == 255).all()
    assert picture[5000] == pytest.approx(127.5, abs=1)


def test_constant_missing_and_shapeless_images() -> None:
    assert (to_rgb8(np.full((3, 3), 700, np.uint16)) == 0).all()
    assert (to_rgb8(np.full((3, 3), np.nan)) == 0).all()
    holes = np.linspace(1, 2, 100).reshape(10, 10)
    holes[0, 9] = np.inf
    holes[9, 0] = np.nan
    assert (to_rgb8(holes)[[0, 9], [9, 0]] == 0).all()
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        to_rgb8(np.zeros(4, np.uint8))


def test_near_is_brighter_than_far_and_missing_is_black() -> None:
    depth = np.array([[1.0, 2.0, 4.0, 0.0, np.nan]], dtype=np.float32)
    picture = depth_picture(depth, near=1.0, far=4.0)[0]
    brightness = picture.astype(int).sum(axis=1)
    assert brightness[0] > brightness[1] > brightness[2] > 0
    assert brightness[3] == brightness[4] == 0
    assert picture[0, 0] > picture[0, 2]  # the near end of viridis is yellow, in RGB order
    assert (depth_picture(np.zeros((2, 2))) == 0).all()
    assert np.array_equal(depth_picture(depth, 1, 4)[0, 2], depth_picture(np.array([[9.0]]), 1, 4)[0, 0])


def test_flow_has_the_hue_of_its_direction_and_the_saturation_of_its_length() -> None:
    flow = np.array([[[4, 0], [-4, 0], [0, 0], [2, 0], [np.nan, 1]]], dtype=np.float32)
    right, left, still, slower, unknown = flow_picture(flow, largest=4)[0].tolist()
    assert right == [255, 0, 0]
    assert left == [0, 255, 255]
    assert still == [255, 255, 255]
    assert slower == [255, 128, 128]
    assert unknown == [0, 0, 0]
    assert (flow_picture(np.zeros((2, 2, 2))) == 255).all()
    assert (flow_picture(np.full((2, 2, 2), np.inf)) == 0).all()


def test_flow_wheel_agrees_with_the_picture_of_flow() -> None:
    wheel = flow_wheel(101)
    assert wheel[50, 100].tolist() == [255, 0, 0]
    assert wheel[50, 0].tolist() == [0, 255, 255]
    assert wheel[50, 50].tolist() == [255, 255, 255]
    assert wheel[0, 0].tolist() == [255, 255, 255]
