"""Regions counted by hand."""

import numpy as np
import pytest

from tessella.datasets.prepared_folder import PreparedFolder
from tessella.errors import InputError
from tessella.reports.region_statistics import count_regions, draw_regions


def store(folder, target, **frames):
    file = folder.correspondences(target)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **{target: frames.pop("own"), **{f"train/a/{name}": ids for name, ids in frames.items()}})


def regions(*rows):
    return np.array([rows], np.int32)


def test_sizes_and_how_often_regions_are_found(tmp_path):
    folder = PreparedFolder(tmp_path)
    nothing = regions([-1, -1], [-1, -1])
    store(
        folder,
        "train/a/0",
        own=regions([0, 0], [0, 2]),
        b=regions([2, 2], [-1, -1]),
        c=regions([0, 2], [0, 2]),
    )
    store(folder, "train/a/1", own=regions([1, 1], [1, 1]), b=nothing, c=regions([1, -1], [-1, -1]))
    statistics = count_regions(folder)
    assert statistics.sizes.tolist() == [3, 1, 4]
    assert statistics.found.tolist() == [0.5, 1, 0.5]
    assert statistics.covered == pytest.approx((3 * 0.5 + 1 * 1 + 4 * 0.5) / 8)
    left, right = draw_regions(statistics).axes
    assert sum(bar.get_height() for bar in left.patches) == pytest.approx(1)
    assert np.nanmax([bar.get_height() for bar in right.patches]) == 1
    assert count_regions(folder, targets=1).sizes.tolist() == [3, 1]


def test_a_picture_without_neighbours_and_a_folder_without_pictures(tmp_path):
    folder = PreparedFolder(tmp_path)
    assert np.isnan(count_regions(folder).covered)
    draw_regions(count_regions(folder))
    store(folder, "train/a/0", own=regions([0, 0], [0, 0]))
    assert count_regions(folder).found.tolist() == [0]


def test_a_damaged_file_is_named(tmp_path):
    file = PreparedFolder(tmp_path).correspondences("train/a/0")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"train/a/0\.npz: is missing or damaged"):
        count_regions(PreparedFolder(tmp_path))
