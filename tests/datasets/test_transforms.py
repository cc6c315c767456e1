"""Joint transforms against the definitions, and what they must never do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessella.datasets import IGNORE_INDEX, Sample
from tessella.datasets.lazy import Lazy
from tessella.datasets.transforms import ColorJitter, Compose, RandomAffineCrop, RandomViews, Resize
from tessella.errors import InputError


def make_sample(height: int = 40, width: int = 60, channels: int = 3, dtype: type = np.uint8) -> Sample:
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    image = rng.integers(0, top, (height, width, channels), dtype=dtype)
    labels = rng.choice(np.array([0, 3, 7, IGNORE_INDEX], np.uint8), (height, width))
    depth = rng.uniform(1, 5, (height, width)).astype(np.float32)
    neighbour = Sample("n", image[::-1].copy(), None, depth[::-1].copy())
    return Sample("s", image, labels, depth, (neighbour,))


def coordinates(height: int, width: int) -> Sample:
    """Each pixel knows where it is: x in the first channel, y in the second and in all other parts."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)
    return Sample("s", image, y.astype(np.uint8), y.astype(np.float32) + 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    channels=st.sampled_from([1, 3, 4, 6]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_crop_has_its_size_and_invents_nothing(
    seed: int, channels: int, dtype: type, size: tuple[int, int]
) -> None:
    sample = make_sample(channels=channels, dtype=dtype)
    result = RandomAffineCrop(size, (0.5, 2.0), rotation=20)(sample, np.random.default_rng(seed))
    assert result.image.shape == (*size, channels)
    assert result.image.dtype == dtype
    assert result.labels is not None
    assert result.depth is not None
    assert sample.depth is not None
    assert result.labels.shape == result.depth.shape == size
    assert set(np.unique(result.labels)) <= {0, 3, 7, IGNORE_INDEX}
    assert set(np.unique(result.depth)) <= {0.0, *np.unique(sample.depth)}
    assert result.neighbours[0].image.shape == result.image.shape


def test_without_scale_and_rotation_the_crop_is_a_piece_of_the_image() -> None:
    sample = make_sample()
    for seed in range(20):
        crop = RandomAffineCrop((16, 24), (1.0, 1.0), flip=False)(sample, np.random.default_rng(seed))
        # The offset is a fraction of a pixel: labels, being nearest, show where the piece lies.
        assert crop.labels is not None
        assert sample.labels is not None
        windows = np.lib.stride_tricks.sliding_window_view(sample.labels, (16, 24))
        assert (windows == crop.labels).all((2, 3)).any()


def test_image_labels_depth_and_neighbours_move_together() -> None:
    sample = coordinates(100, 120)
    sample = replace(sample, neighbours=(sample,))
    for seed in range(20):
        crop = RandomAffineCrop((50, 50), (0.7, 2.0), rotation=15)(sample, np.random.default_rng(seed))
        assert crop.labels is not None
        assert crop.depth is not None
        inside = (crop.labels != IGNORE_INDEX) & (crop.depth > 0)
        y = crop.image[..., 1].astype(float)
        # Away from the border, where the bilinear image mixes with the fill.
        inner = inside & (y > 3) & (y < 96) & (crop.image[..., 2] == 0)
        assert np.abs(y - crop.labels)[inner].max() <= 1
        assert np.array_equal(crop.depth[inside], crop.labels[inside].astype(np.float32) + 1)
        assert np.array_equal(crop.image, crop.neighbours[0].image)


def test_flip_mirrors_half_of_the_crops() -> None:
    sample = coordinates(40, 40)
    transform = RandomAffineCrop((40, 40), (1.0, 1.0))
    mirrored = 0
    for seed in range(200):
        row = transform(sample, np.random.default_rng(seed)).image[20, :, 0]
        assert np.array_equal(row, np.arange(40)) or np.array_equal(row, np.arange(40)[::-1])
        mirrored += int(row[0] == 39)
    assert 70 < mirrored < 130


def test_zoom_covers_its_bounds_evenly_on_the_logarithm() -> None:
    sample = coordinates(100, 100)
    transform = RandomAffineCrop((20, 20), (0.5, 2.0), flip=False)
    zooms = []
    for seed in range(300):
        row = transform(sample, np.random.default_rng(seed)).image[10, 2:18, 0].astype(float)
        zooms.append(15 / (row[-1] - row[0]))
    assert 0.45 < min(zooms) < 0.55
    assert 1.7 < max(zooms) < 2.2
    assert 0.85 < np.median(zooms) < 1.2  # measured in whole pixels


def test_small_picture_lies_whole_inside_the_crop() -> None:
    sample = coordinates(10, 10)
    for seed in range(20):
        crop = RandomAffineCrop((30, 30), (1.0, 1.0))(sample, np.random.default_rng(seed))
        assert crop.labels is not None
        assert (crop.labels != IGNORE_INDEX).sum() >= 81


def test_same_generator_same_result() -> None:
    transform = Compose([RandomAffineCrop((20, 20), rotation=10), ColorJitter()])
    a, b = (transform(make_sample(), np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.neighbours[0].image, b.neighbours[0].image)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (2.0, 1.0)])
def test_wrong_scale(scale: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="scale"):
        RandomAffineCrop((10, 10), scale)


@pytest.mark.parametrize("size", [(20, 30), (80, 120), (40, 60)])
def test_resize(size: tuple[int, int]) -> None:
    sample = make_sample()
    result = Resize(size)(sample, np.random.default_rng(0))
    assert result.labels is not None
    assert result.depth is not None
    assert result.image.shape == (*size, 3)
    assert result.labels.shape == result.depth.shape == result.neighbours[0].image.shape[:2] == size
    assert set(np.unique(result.labels)) <= {0, 3, 7, IGNORE_INDEX}


@pytest.mark.parametrize("size", [(20, 30), (80, 90)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_resize_of_many_channels_is_that_of_each(size: tuple[int, int], dtype: type) -> None:
    sample = make_sample(channels=10, dtype=dtype)
    result = Resize(size)(sample, np.random.default_rng(0)).image
    for channel in range(10):
        alone = replace(sample, image=sample.image[..., channel, None], neighbours=())
        expected = Resize(size)(alone, np.random.default_rng(0)).image
        np.testing.assert_allclose(result[..., channel, None].astype(int), expected, atol=1)  # of rounding


def test_jitter_of_zero_changes_nothing() -> None:
    sample = make_sample()
    result = ColorJitter(0, 0, 0, 0)(sample, np.random.default_rng(0))
    assert np.abs(result.image.astype(int) - sample.image).max() <= 1


def test_jitter_leaves_labels_depth_and_further_channels() -> None:
    sample = make_sample(channels=6)
    result = ColorJitter()(sample, np.random.default_rng(0))
    assert result.labels is sample.labels
    assert result.depth is sample.depth
    assert np.array_equal(result.image[..., 3:], sample.image[..., 3:])
    assert not np.array_equal(result.image[..., :3], sample.image[..., :3])


def test_hue_and_saturation_keep_greys() -> None:
    grey = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[:, None, None], 3, axis=2)
    result = ColorJitter(0, 0, 0.9, 180)(Sample("s", grey), np.random.default_rng(1))
    assert np.abs(result.image.astype(int) - grey).max() <= 1


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (2, np.uint16), (3, np.uint16), (3, np.uint8)]
)
def test_brightness_scales_the_mean(channels: int, dtype: type) -> None:
    image = np.full((8, 8, channels), np.iinfo(dtype).max // 4, dtype)
    means = [
        ColorJitter(0.4, 0, 0, 0)(Sample("s", image), np.random.default_rng(seed)).image.mean() / image.mean()
        for seed in range(50)
    ]
    assert 0.58 < min(means) < 0.75
    assert 1.25 < max(means) < 1.42


@pytest.mark.parametrize("levels", [1, 3, 6])
def test_regions_keep_their_ids_and_are_none_outside(levels: int) -> None:
    """Each pixel's ids say where it came from: they must agree with the labels, which move by the same rule."""
    sample = coordinates(60, 80)
    y, x = np.mgrid[:60, :80].astype(np.int32)
    regions = np.stack([(y + level) * 1000 + x for level in range(levels)], axis=2)
    sample = replace(sample, regions=regions, neighbours=(replace(sample, regions=regions),))
    for seed in range(20):
        crop = RandomAffineCrop((50, 70), (0.5, 2.0), rotation=15)(sample, np.random.default_rng(seed))
        assert crop.regions is not None
        assert crop.labels is not None
        assert crop.regions.dtype == np.int32
        assert crop.regions.shape == (50, 70, levels)
        outside = crop.labels == IGNORE_INDEX
        assert (crop.regions[outside] == -1).all()
        for level in range(levels):
            assert np.array_equal(crop.regions[~outside, level] // 1000 - level, crop.labels[~outside])
        assert np.array_equal(crop.regions, crop.neighbours[0].regions)


def test_flip_and_resize_take_regions_along() -> None:
    sample = coordinates(40, 40)
    regions = np.mgrid[:40, :40][1].astype(np.int32)[..., None] + 70000
    sample = replace(sample, regions=regions)
    for seed in range(8):
        flipped = RandomAffineCrop((40, 40), (1.0, 1.0))(sample, np.random.default_rng(seed))
        assert np.array_equal(flipped.regions[..., 0] - 70000, flipped.image[..., 0])
    smaller = Resize((20, 20))(sample, np.random.default_rng(0))
    assert smaller.regions.shape == (20, 20, 1)
    assert set(np.unique(smaller.regions)) <= set(np.unique(regions))


def video(length: int) -> tuple[Sample, list[int]]:
    """A sample with so many neighbours, and the numbers of those that were read, as they are."""
    read: list[int] = []

    def neighbour(number: int) -> Sample:
        read.append(number)
        return Sample(f"{number:03}", np.zeros((4, 5, 3), np.uint8))

    return replace(coordinates(4, 5), neighbours=Lazy(range(length), neighbour)), read


def test_random_views_read_only_what_they_draw() -> None:
    drawn = set()
    for seed in range(30):
        sample, read = video(20)
        views = RandomViews(4)(sample, np.random.default_rng(seed)).neighbours
        assert len(views) == len(read) == 3
        assert [view.id for view in views] == sorted({view.id for view in views})
        drawn |= set(read)
    assert drawn == set(range(20))


@pytest.mark.parametrize(("views", "length", "left"), [(1, 5, 0), (9, 5, 5), (6, 5, 5), (3, 0, 0)])
def test_random_views_where_few_are_wanted_or_there(views: int, length: int, left: int) -> None:
    sample, _ = video(length)
    assert len(RandomViews(views)(sample, np.random.default_rng(0)).neighbours) == left


def test_no_view_at_all_is_an_error() -> None:
    with pytest.raises(InputError, match="views: 0 given"):
        RandomViews(0)
