"""Neighbours against brute force, and how they are varied."""

import colorsys
import time

import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.image_generation import Neighbours
from tessella.image_generation.neighbours import color_histogram, nearest, varied


def brute_force(places):
    distances = np.stack([np.abs(places - place).mean(1) for place in places.astype(np.float64)])
    np.fill_diagonal(distances, np.inf)
    return distances


@pytest.mark.parametrize(("items", "dims", "number"), [(2, 1, 1), (30, 4, 5), (200, 136, 50), (40, 3, 39)])
def test_nearest_are_those_of_brute_force(items, dims, number):
    places = np.random.default_rng(items).random((items, dims)).astype(np.float32)
    distances = brute_force(places)
    found = nearest(places, number)
    for item, near in enumerate(found):
        assert near.tolist() == np.argsort(distances[item], kind="stable")[:number].tolist()


def test_pytorch_keeps_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        nearest(np.zeros((9, 2), np.float32), 3)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_equally_near_ones_come_in_order():
    places = np.array([[0], [1], [-1], [1], [0], [0]], np.float32)
    assert nearest(places, 4)[0].tolist() == [4, 5, 1, 2]


def test_no_more_than_there_are_and_none_beyond_theta():
    places = np.array([[0, 0], [0, 1], [0, 4], [9, 9]], np.float32)
    assert nearest(places, 10)[0].tolist() == [1, 2, 3]
    assert [near.tolist() for near in nearest(places, 10, 2.0)] == [[1, 2], [0, 2], [1, 0], []]
    assert [near.tolist() for near in nearest(places[:1], 5)] == [[]]


def test_double_precision_and_views_are_taken():
    places = np.random.default_rng(0).random((50, 12))[:, ::2]
    for near, distances in zip(nearest(places, 3), brute_force(places), strict=True):
        assert near.tolist() == np.argsort(distances)[:3].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_condition_that_is_not_finite(value):
    places = np.zeros((5, 3), np.float32)
    places[3, 1] = value
    with pytest.raises(InputError, match="condition of item 3 is not finite: check its file"):
        nearest(places, 2)


def test_histogram_against_loops():
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    wanted = np.zeros((8, 4, 4))
    for red, green, blue in image.reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        # OpenCV stores hue as half degrees and the others as bytes.
        place = (round(hue * 180) % 180 * 8 // 180, round(saturation * 255) // 64, round(value * 255) // 64)
        wanted[place] += 1 / 63
    found = color_histogram(image)
    assert found.sum() == pytest.approx(1)
    assert np.abs(found - wanted.ravel()).sum() <= 2 / 63 + 1e-6  # at most one pixel is rounded otherwise


def test_colours_have_other_histograms():
    one, other = (np.full((4, 4, 3), color, np.uint8) for color in ((200, 10, 10), (10, 10, 200)))
    assert np.abs(color_histogram(one) - color_histogram(other)).sum() == pytest.approx(2)


def clustered(random):
    """Four clusters of histograms far apart, 10 of each."""
    centers = 10 * np.eye(4, dtype=np.float32)
    return np.repeat(centers, 10, 0) + random.random((40, 4)).astype(np.float32)


def test_one_of_each_cluster():
    random = np.random.default_rng(0)
    histograms, candidates = clustered(random), np.arange(40)[::-1]
    chosen = [varied(candidates, histograms, 4, random) for _ in range(200)]
    complete = [len(items) == 4 and {item // 10 for item in items} == {0, 1, 2, 3} for items in chosen]
    assert np.mean(complete) > 0.95  # k-means now and then parts one cluster and joins two others
    assert all(len(set(items)) == len(items) for items in chosen)
    of_first = {varied(candidates, histograms, 4, random)[0] for _ in range(200)}
    assert len(of_first) > 10  # a random member, not always the same


def test_fewer_candidates_than_asked_for_are_all_taken():
    random = np.random.default_rng(0)
    assert varied(np.array([7, 3]), np.zeros((9, 2), np.float32), 4, random) == [7, 3]
    assert varied(np.array([], int), np.zeros((9, 2), np.float32), 4, random) == []


def test_alike_candidates_are_one_cluster():
    random = np.random.default_rng(0)
    assert len(varied(np.arange(6), np.ones((6, 3), np.float32), 4, random)) == 1
    two = np.repeat(np.eye(2, dtype=np.float32), 3, 0)
    assert sorted(item // 3 for item in varied(np.arange(6), two, 4, random)) == [0, 1]


def test_neighbours_respect_the_quantile():
    random = np.random.default_rng(5)
    places = random.random((300, 2)).astype(np.float32)
    histograms = random.random((300, 8)).astype(np.float32)
    neighbours = Neighbours(places, histograms, 3, candidates=299, quantile=0.1)
    distances = brute_force(places)
    limit = np.quantile(distances[np.isfinite(distances)], 0.1)
    furthest = [distances[item, near].max() for item, near in enumerate(neighbours.near) if len(near)]
    assert max(furthest) == pytest.approx(limit, rel=0.05)
    assert sum(map(len, neighbours.near)) / (300 * 299) == pytest.approx(0.1, abs=0.01)
    for item in range(20):
        drawn = neighbours.draw(item, random)
        assert len(drawn) == min(3, len(neighbours.near[item]))
        assert set(drawn) <= set(neighbours.near[item].tolist())


def test_no_limit():
    places = np.random.default_rng(5).random((20, 2)).astype(np.float32)
    neighbours = Neighbours(places, np.zeros((20, 2), np.float32), 2, candidates=19, quantile=1.0)
    assert [len(near) for near in neighbours.near] == [19] * 20


def test_draws_follow_the_generator():
    random = np.random.default_rng(5)
    neighbours = Neighbours(random.random((40, 2)), clustered(random), 3, candidates=20, quantile=1.0)
    draws = [neighbours.draw(0, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert draws[0] == draws[1]
    assert len(set(map(tuple, draws))) > 1


def test_a_single_item_has_no_neighbours():
    neighbours = Neighbours(np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32), 2)
    assert neighbours.draw(0, np.random.default_rng(0)) == []


def test_unusable_options():
    places, histograms = np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)
    for number in (-1, 0, 6):
        with pytest.raises(InputError, match=f"{number} of 5 candidates; give 1 to 5, or more candidates"):
            Neighbours(places, histograms, number, candidates=5)
    for quantile in (-0.1, 0.0, 1.5):
        with pytest.raises(InputError, match=r"quantile is .* between 0 and 1"):
            Neighbours(places, histograms, 2, quantile=quantile)


@pytest.mark.parametrize(("places", "histograms"), [(0, 0), (4, 3), (3, 4)])
def test_one_histogram_of_each_item(places, histograms):
    with pytest.raises(InputError, match=f"{places} places and {histograms} histograms"):
        Neighbours(np.zeros((places, 2), np.float32), np.zeros((histograms, 2), np.float32), 1)


@pytest.mark.slow
def test_ten_thousand_faces_in_seconds():
    places = np.random.default_rng(0).random((10_000, 136)).astype(np.float32)
    nearest(places[:10], 5)
    start = time.monotonic()
    nearest(places, 50)
    assert time.monotonic() - start < 10  # 3 s of one core
