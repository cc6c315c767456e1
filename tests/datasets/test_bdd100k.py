from pathlib import Path

import numpy as np
from tests.datasets.fabricate import fabricate_bdd100k, write_labels

from tessella.datasets.bdd100k import BDD100K


def test_reads_train_ids(tmp_path: Path) -> None:
    fabricate_bdd100k(tmp_path)
    name = f"{0:08x}-{0:08x}"
    ids = write_labels(tmp_path / f"labels/sem_seg/masks/val/{name}.png", [*range(19), 255])
    sample = BDD100K(tmp_path, "val")[0]
    np.testing.assert_array_equal(sample.labels, ids)
    assert sample.id == f"val/{name}"
    assert BDD100K(tmp_path, "test")[1].labels is None
    assert len(BDD100K(tmp_path, "train").classes) == 19
