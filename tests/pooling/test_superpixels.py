"""Regions of pictures whose objects are known."""

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling.superpixels import boundary_strength, region_hierarchy, superpixels


def squares():
    """Four squares of different colour, and a depth with a step between left and right."""
    image = np.zeros((80, 100, 3), np.uint8)
    image[:40, :50], image[:40, 50:], image[40:, :50], image[40:, 50:] = (
        (200, 30, 30),
        (30, 200, 30),
        (30, 30, 200),
        90,
    )
    depth = np.full((80, 100), 2.0)
    depth[:, 50:] = 3
    return image, depth


def connected(labels):
    masks = ((labels == id_).astype(np.uint8) for id_ in range(labels.max() + 1))
    return all(cv2.connectedComponents(mask, connectivity=4)[0] == 2 for mask in masks)


def test_four_squares():
    image, _ = squares()
    labels = superpixels(image, regions=4)
    assert labels.dtype == np.int32
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    for rows in (slice(2, 38), slice(42, 78)):
        for columns in (slice(2, 48), slice(52, 98)):
            assert len(np.unique(labels[rows, columns])) == 1


def test_depth_tells_apart_what_has_one_colour():
    _, depth = squares()
    labels = superpixels(np.full((80, 100, 3), 120, np.uint8), depth, regions=2)
    assert len(np.unique(labels[:, :47])) == 1
    assert len(np.unique(labels[:, 53:])) == 1
    assert labels[0, 0] != labels[0, -1]


def test_a_slanted_plane_has_no_boundary():
    """However steep: inverse depth is linear on it."""
    depth = 1 / np.linspace(1 / 6, 1, 100)[None].repeat(80, 0)
    strength = boundary_strength(np.full((80, 100, 3), 120, np.uint8), depth)
    assert strength[:, 5:-5].max() < 0.05


@pytest.mark.parametrize("regions", [1, 7, 60])
def test_cuts_are_nested_and_connected(regions):
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    hierarchy = region_hierarchy(image)
    coarse, fine = hierarchy.cut(regions), hierarchy.cut(2 * regions)
    assert coarse.max() + 1 == regions
    assert connected(coarse)
    assert all(len(np.unique(coarse[fine == id_])) == 1 for id_ in range(fine.max() + 1))


def test_cut_at_an_altitude():
    hierarchy = region_hierarchy(squares()[0])
    assert hierarchy.cut_at(hierarchy.altitudes.max()).max() == 0
    count = 9
    at = np.sort(hierarchy.altitudes)[-count]
    assert (hierarchy.cut_at(at) == hierarchy.cut(count)).all()


@pytest.mark.parametrize("method", ["slic", "seeds", "felzenszwalb"])
def test_alternatives(method):
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    labels = superpixels(image, regions=100, method=method)
    assert labels.shape == (120, 160)
    assert labels.dtype == np.int32
    assert labels.min() == 0
    assert 30 <= len(np.unique(labels)) <= 300


def test_a_picture_of_one_colour_is_one_region():
    assert (superpixels(np.full((20, 30, 3), 50, np.uint8)) == 0).all()


@pytest.mark.parametrize(
    ("image", "depth", "arguments", "message"),
    [
        (np.zeros((8, 9)), None, {}, r"the image is float64 \[8, 9\]"),
        (np.zeros((8, 9, 3), np.uint8), np.ones((9, 8)), {}, r"depth is \[9, 8\], the image \[8, 9\]"),
        (np.zeros((8, 9, 3), np.uint8), np.full((8, 9), np.nan), {}, "depth has holes"),
        (np.zeros((1, 1, 3), np.uint8), None, {}, r"the image is \[1, 1, 3\]: give at least 2x2 pixels"),
        (np.zeros((1, 9, 3), np.uint8), None, {"method": "slic"}, r"the image is \[1, 9, 3\]"),
        (np.zeros((0, 9, 3), np.uint8), None, {"method": "seeds"}, r"the image is \[0, 9, 3\]"),
        (np.zeros((8, 9, 3), np.uint8), None, {"regions": 0}, "regions: 0 given"),
        (np.zeros((8, 9, 3), np.uint8), None, {"method": "magic"}, "choose hierarchy, slic"),
    ],
)
def test_bad_input(image, depth, arguments, message):
    with pytest.raises(InputError, match=message):
        superpixels(image, depth, **arguments)


@pytest.mark.parametrize("method", ["hierarchy", "slic", "felzenszwalb"])
@pytest.mark.parametrize("size", [(2, 2), (2, 40), (40, 2)])
def test_pictures_smaller_than_a_region(size, method):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    labels = superpixels(image, regions=1, method=method)
    assert labels.shape == size
    assert labels.min() == 0


@pytest.mark.parametrize(
    ("size", "regions"), [((2, 40), 1), ((32, 600), 50), ((240, 320), 2), ((240, 320), 5000)]
)
def test_what_opencvs_seeds_crash_or_hang_on_is_refused(size, regions):
    with pytest.raises(InputError, match="choose another method or number"):
        superpixels(np.zeros((*size, 3), np.uint8), regions=regions, method="seeds")


def test_a_hierarchy_begins_with_as_many_regions_as_asked_for():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert [region_hierarchy(image, finest=finest).finest.max() + 1 for finest in (2, 50, 130)] == [
        2,
        50,
        130,
    ]
