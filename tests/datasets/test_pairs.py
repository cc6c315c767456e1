import numpy as np
import pytest

from tessella.datasets.landmarks import MIRRORED_68
from tessella.datasets.pairs import Pair, mirrored, paired


def random_pair(channels: int, size: tuple[int, int] = (32, 48), landmarks: int = 0) -> Pair:
    rng = np.random.default_rng(channels)
    condition = rng.uniform(-1, 1, (*size, channels)).astype(np.float32)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    points = rng.uniform(0, min(size) - 1, (landmarks, 2)).astype(np.float32) if landmarks else None
    return paired("train/a", condition, image, points)


@pytest.mark.parametrize("channels", [1, 3, 4, 11, 70])
def test_place_of_a_condition_is_its_mean_over_16_by_16_blocks(channels: int) -> None:
    pair = random_pair(channels)
    blocks = pair.condition.reshape(16, 2, 16, 3, channels).mean(axis=(1, 3))
    assert pair.place.shape == (256 * channels,)
    assert pair.place.dtype == np.float32
    np.testing.assert_allclose(pair.place, blocks.ravel(), atol=1e-6)


def test_place_of_landmarks_is_in_widths() -> None:
    pair = random_pair(68, landmarks=68)
    assert pair.landmarks is not None
    np.testing.assert_allclose(pair.place.reshape(68, 2), pair.landmarks / 48, rtol=1e-6)
    assert pair.place.dtype == np.float32


def test_mirror_exchanges_channels_and_landmarks_by_one_rule() -> None:
    pair = random_pair(68, landmarks=68)
    mirror = mirrored(pair, order=MIRRORED_68)
    assert pair.landmarks is not None
    assert mirror.landmarks is not None
    for now, before in enumerate(MIRRORED_68):
        np.testing.assert_array_equal(mirror.condition[..., now], pair.condition[:, ::-1, before])
        np.testing.assert_allclose(
            mirror.landmarks[now], [47 - pair.landmarks[before, 0], pair.landmarks[before, 1]], rtol=1e-6
        )
    np.testing.assert_array_equal(mirror.image, pair.image[:, ::-1])
    np.testing.assert_allclose(mirror.place.reshape(68, 2), mirror.landmarks / 48, rtol=1e-6)


def test_mirror_changes_signs_and_leaves_its_argument_alone() -> None:
    pair = random_pair(3)
    before = pair.condition.copy()
    mirror = mirrored(pair, signs=(-1, 1, 1))
    np.testing.assert_array_equal(mirror.condition, before[:, ::-1] * [-1, 1, 1])
    assert mirror.condition.dtype == np.float32
    np.testing.assert_array_equal(pair.condition, before)
    twice = mirrored(mirror, signs=(-1, 1, 1))
    np.testing.assert_array_equal(twice.condition, pair.condition)
    np.testing.assert_array_equal(twice.image, pair.image)
    np.testing.assert_array_equal(twice.place, pair.place)
