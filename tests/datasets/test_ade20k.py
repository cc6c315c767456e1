from pathlib import Path

import numpy as np
from tests.datasets.fabricate import fabricate_ade20k, write_labels

from tessella.datasets.ade20k import ADE20K, CLASSES


def test_ids_1_to_150_are_the_classes_and_0_is_void(tmp_path: Path) -> None:
    fabricate_ade20k(tmp_path)
    ids = write_labels(tmp_path / "annotations/training/ADE_training_00000000.png", range(151))
    sample = ADE20K(tmp_path, "training")[0]
    np.testing.assert_array_equal(sample.labels[ids > 0], ids[ids > 0] - 1)
    assert (sample.labels[ids == 0] == 255).all()
    assert sample.id == "training/ADE_training_00000000"
    assert ADE20K(tmp_path, "testing")[0].labels is None


def test_classes() -> None:
    names = [label.name for label in CLASSES]
    assert len(set(names)) == 150
    # objectInfo150 counts from 1: 13 person, 21 car, 81 bus, 150 flag
    assert (names[12], names[20], names[80], names[149]) == ("person", "car", "bus", "flag")
    assert CLASSES[12].color == (150, 5, 61)
    assert CLASSES[149].color == (92, 0, 255)
