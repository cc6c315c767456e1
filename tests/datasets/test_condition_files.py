"""Conditions alone, as files."""

import cv2
import numpy as np
import pytest
from tests.datasets.fabricate import write_pts

from tessella.datasets.condition_files import ConditionFiles
from tessella.datasets.conditions import encode_normals
from tessella.errors import InputError


def test_normals(tmp_path):
    normals = np.zeros((8, 6, 3), np.float32)
    normals[2:5] = (0.6, 0, -0.8)
    cv2.imwrite(str(tmp_path / "a.png"), encode_normals(normals)[..., ::-1])
    pair = ConditionFiles(tmp_path, condition="normals")[0]
    assert (pair.id, pair.image) == ("a", None)
    np.testing.assert_allclose(pair.condition, normals, atol=0.01)
    assert ConditionFiles(tmp_path / "a.png", condition="normals", size=4)[0].condition.shape == (4, 4, 3)


def test_labels(tmp_path):
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), labels)
    condition = ConditionFiles(tmp_path, condition="labels", classes=3)[0].condition
    np.testing.assert_array_equal(condition, (labels[..., None] == np.arange(3)).astype(np.float32))


def test_landmarks(tmp_path):
    write_pts(tmp_path / "a.pts", np.array([[0.0, 0.0], [3.0, 2.0]]))
    condition = ConditionFiles(tmp_path, condition="landmarks", size=8)[0].condition
    assert condition.shape == (8, 8, 2)
    assert condition[0, 0, 0] == condition[2, 3, 1] == 1  # files count from 1
    counted = ConditionFiles(tmp_path, condition="landmarks", size=8, first=0.0)[0]
    assert counted.landmarks.tolist() == [[1, 1], [4, 3]]


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="edges are made of images"):
        ConditionFiles(tmp_path, condition="edges")
    for condition in ("trimap", "depth"):
        with pytest.raises(InputError, match=f"no files of {condition} alone"):
            ConditionFiles(tmp_path, condition=condition)
    with pytest.raises(InputError, match=r"train with dataset\.size"):
        ConditionFiles(tmp_path, condition="landmarks")
    with pytest.raises(InputError, match="files of conditions"):
        ConditionFiles(tmp_path / "nothing", condition="normals")
