import sys
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_synscapes, truncate, write_labels

from tessella.datasets.synscapes import Synscapes
from tessella.errors import InputError


def test_reads_cityscapes_ids(tmp_path: Path) -> None:
    fabricate_synscapes(tmp_path)
    ids = write_labels(tmp_path / "img/class/1.png", range(34))
    sample = Synscapes(tmp_path)[0]
    assert sample.id == "all/1"
    assert (sample.labels[ids == 7] == 0).all()
    assert (sample.labels[ids == 33] == 18).all()
    assert len(np.unique(sample.labels)) == 20


def test_depth(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    fabricate_synscapes(tmp_path, count=1)
    depth = np.random.default_rng(0).uniform(1, 100, (24, 32)).astype(np.float32)
    depth[0, 0] = np.inf
    path = tmp_path / "img/depth/1.exr"
    path.parent.mkdir()
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"Z": depth}).write(str(path))
    read = Synscapes(tmp_path, depth=True)[0].depth
    assert read[0, 0] == 0
    np.testing.assert_array_equal(read[1:], depth[1:])
    truncate(path, 0.1)
    with pytest.raises(InputError, match="truncated"):
        Synscapes(tmp_path, depth=True)[0]


def test_depth_names_the_package_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    fabricate_synscapes(tmp_path, count=1)
    (tmp_path / "img/depth").mkdir()
    (tmp_path / "img/depth/1.exr").write_bytes(b"")
    with pytest.raises(InputError, match="pip install OpenEXR"):
        Synscapes(tmp_path, depth=True)[0]
