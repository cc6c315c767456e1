import json
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import VISTAS_NAMES, fabricate_mapillary_vistas, write_labels

from tessella.datasets.cityscapes import CLASSES as CITYSCAPES_CLASSES
from tessella.datasets.mapillary_vistas import CITYSCAPES_MEMBERS, MapillaryVistas
from tessella.errors import InputError


@pytest.mark.parametrize("is_versioned", [True, False])
def test_65_classes_as_configured(tmp_path: Path, is_versioned: bool) -> None:
    fabricate_mapillary_vistas(tmp_path, is_versioned=is_versioned)
    data = MapillaryVistas(tmp_path, "training")
    assert [label.name for label in data.classes] == VISTAS_NAMES[:-1]
    assert data.classes[2].color == (2, 4, 6)
    assert set(np.unique(data[0].labels)) == {*range(65), 255}


def test_merge_to_cityscapes(tmp_path: Path) -> None:
    fabricate_mapillary_vistas(tmp_path, count=1)
    data = MapillaryVistas(tmp_path, "validation", classes=19)
    assert data.classes == CITYSCAPES_CLASSES
    path = tmp_path / "validation/v1.2/labels" / f"{0:022}.png"
    ids = write_labels(path, range(66), size=(66, 40))
    labels = data[0].labels
    for id_, name in enumerate(VISTAS_NAMES):
        merged = np.unique(labels[ids == id_])
        expected = [i for i, label in enumerate(data.classes) if name in CITYSCAPES_MEMBERS[label.name]]
        assert merged.tolist() == (expected or [255])


def test_the_merge_names_25_classes_of_vistas_once_for_each_of_the_19() -> None:
    members = [name for names in CITYSCAPES_MEMBERS.values() for name in names]
    assert len(members) == len(set(members)) == 25
    assert set(members) <= set(VISTAS_NAMES)
    assert list(CITYSCAPES_MEMBERS) == [label.name for label in CITYSCAPES_CLASSES]


def test_testing_has_no_labels(tmp_path: Path) -> None:
    fabricate_mapillary_vistas(tmp_path)
    assert MapillaryVistas(tmp_path, "testing")[0].labels is None


def test_bad_configuration(tmp_path: Path) -> None:
    fabricate_mapillary_vistas(tmp_path)
    with pytest.raises(InputError, match="classes: 66"):
        MapillaryVistas(tmp_path, "training", classes=66)  # type: ignore[arg-type]
    path = tmp_path / "config_v1.2.json"
    rows = json.loads(path.read_text())["labels"]
    path.write_text(json.dumps({"labels": rows[1:]}))
    with pytest.raises(InputError, match="65 labels are not those of version"):
        MapillaryVistas(tmp_path, "training")
    path.write_text("{")
    with pytest.raises(InputError, match="lists no labels"):
        MapillaryVistas(tmp_path, "training")
