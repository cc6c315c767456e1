"""Ids of regions that would index memory that is not there."""

import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.pooling.ids import label_map, require_compact, require_ids, signed


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32])
def test_unsigned_ids_get_room_for_none(dtype):
    ids = torch.tensor([0, 200]).to(dtype)
    assert signed(ids).tolist() == [0, 200]
    assert signed(ids).where(signed(ids) < 100, -1).tolist() == [0, -1]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_signed_ids_stay(dtype):
    ids = torch.tensor([-1, 100], dtype=dtype)
    assert signed(ids) is ids


@pytest.mark.parametrize("dtype", [torch.bool, torch.float16, torch.float64, torch.complex64])
def test_other_types(dtype):
    with pytest.raises(InputError, match=f"regions are {dtype}: give whole numbers"):
        signed(torch.zeros(2, dtype=dtype))


def test_bounds():
    require_ids(torch.tensor([-7, 4]), 5)
    require_ids(torch.zeros(0, dtype=torch.long), 0)
    require_compact(5, 6)
    with pytest.raises(InputError, match="regions hold id 4, and num_regions is 4"):
        require_ids(torch.tensor([-7, 4]), 4)
    with pytest.raises(InputError, match="regions hold id 6, of 6 pixels: number them from 0 without gaps"):
        require_compact(6, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, np.int8, np.int64])
def test_label_maps(dtype):
    labels = np.arange(6, dtype=dtype).reshape(2, 3)
    if np.dtype(dtype).kind == "i":
        labels[0, 0] = -100
    found = label_map(labels, "regions")
    assert found.dtype == np.int32
    assert found.tolist() == [[-1 if np.dtype(dtype).kind == "i" else 0, 1, 2], [3, 4, 5]]


def test_what_int32_would_wrap_is_none():
    assert label_map(np.array([[-(2**32)]]), "regions").tolist() == [[-1]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "it are None: give an array"),
        (np.zeros((2, 2)), r"it are float64 \[2, 2\]: give an array of whole numbers"),
        (np.zeros(4, int), r"it are int64 \[4\]: give an array"),
        (np.zeros((0, 4), int), r"it are \[0, 4\]: give at least one pixel"),
        (np.full((2, 2), 2**33), "it hold id 8589934592, of 4 pixels"),
        (np.full((2, 2), 2**63, np.uint64), "it hold id 9223372036854775808, of 4 pixels"),
    ],
)
def test_bad_label_maps(labels, message):
    with pytest.raises(InputError, match=message):
        label_map(labels, "it")
