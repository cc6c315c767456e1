"""Label maps without images."""

import cv2
import numpy as np
import pytest

from tessella.datasets import LabelClass
from tessella.datasets.label_maps import LabelMaps
from tessella.errors import InputError

CLASSES = (LabelClass("a", (0, 0, 0)), LabelClass("b", (9, 9, 9)))


def test_maps_below_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    labels = np.array([[0, 1, 255], [1, 1, 0]], dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "deep" / "x.png"), labels)
    maps = LabelMaps(tmp_path, CLASSES)
    assert (len(maps), maps.ids, maps.classes) == (1, ("deep/x",), CLASSES)
    assert np.array_equal(maps[0].labels, labels)
    assert maps[0].image.shape == (2, 3, 3)
    image = LabelMaps(tmp_path, CLASSES, channels=6, dtype=np.uint16)[0].image
    assert (image.shape, image.dtype) == ((2, 3, 6), np.uint16)


def test_ids_that_are_no_class(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.full((2, 2), 7, dtype=np.uint8))
    with pytest.raises(InputError, match=r"x.png: holds id 7; there are classes 0 to 1"):
        LabelMaps(tmp_path, CLASSES)[0]
    with pytest.raises(InputError, match="no such folder"):
        LabelMaps(tmp_path / "none", CLASSES)
