from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_sun3d

from tessella.datasets.nyudv2_classes import CLASSES_40
from tessella.datasets.sun3d import CLASSES, INDEX_OF_NYUDV2, MERGES, SUN3D, label_of_name
from tessella.errors import InputError

NAMES = [label.name for label in CLASSES]


def test_33_classes_of_nyudv2s_40() -> None:
    assert len(CLASSES) == 33
    for source, target in MERGES.items():
        index = [label.name for label in CLASSES_40].index(source)
        assert NAMES[INDEX_OF_NYUDV2[index]] == target
    unmerged = [i for i, label in enumerate(CLASSES_40) if label.name not in MERGES]
    assert [NAMES[INDEX_OF_NYUDV2[i]] for i in unmerged] == [CLASSES_40[i].name for i in unmerged]


def test_polygons_with_small_ones_over_large_ones(tmp_path: Path) -> None:
    fabricate_sun3d(tmp_path)
    data = SUN3D(tmp_path)
    assert data.ids == ("all/hotel_umd/maryland_hotel3/0000002-000000033333",)
    labels = data[0].labels
    assert NAMES[labels[0, 0]] == "wall"
    assert NAMES[labels[6, 6]] == "chair"
    assert labels[6, 13] == 255
    assert NAMES[labels[6, 22]] == "other furniture"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Wall", "wall"), ("couch 2", "sofa"), ("books", "books"), ("rug:1", "floor"), ("towels", "other prop")],
)
def test_names(name: str, expected: str) -> None:
    assert NAMES[label_of_name(name)] == expected


def test_depth_and_neighbours(tmp_path: Path) -> None:
    fabricate_sun3d(tmp_path)
    sample = SUN3D(tmp_path, depth=True, neighbours=(-5, -1, 2))[0]
    np.testing.assert_allclose(sample.depth, 1.5)
    assert [frame.id[-20:] for frame in sample.neighbours] == ["0000001-000000000000", "0000004-000000099999"]
    np.testing.assert_allclose(sample.neighbours[0].depth, 1.5)


def test_bad_annotation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no <scan>/annotation/index.json"):
        SUN3D(tmp_path)
    fabricate_sun3d(tmp_path)
    next(tmp_path.glob("*/*/image/0000004*")).unlink()
    SUN3D(tmp_path)
    for path in tmp_path.glob("*/*/image/000000[23]*"):
        path.unlink()
    with pytest.raises(InputError, match="labels frame 1, but there are 1 images"):
        SUN3D(tmp_path)
    next(tmp_path.glob("*/*/annotation/index.json")).write_text('{"frames": 3}')
    with pytest.raises(InputError, match="no annotation of SUN3D"):
        SUN3D(tmp_path)
