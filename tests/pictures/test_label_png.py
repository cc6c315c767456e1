import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tessella.errors import InputError
from tessella.pictures import default_palette, save_label_png

LABELS = np.array([[0, 1, 18], [255, 5, 5]], dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_ids_are_the_pixel_values_and_colors_show(tmp_path: Path, dtype: type) -> None:
    palette = default_palette(19)
    save_label_png(tmp_path / "labels.png", LABELS.astype(dtype), palette, ignore_color=(1, 2, 3))
    with Image.open(tmp_path / "labels.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), LABELS)
        shown = np.asarray(picture.convert("RGB"))
    assert np.array_equal(shown[0], palette[[0, 1, 18]])
    assert shown[1, 0].tolist() == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.png"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.png"
    save_label_png(path, LABELS, default_palette(19))
    before = path.read_bytes()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(InputError, match=r"labels\.png: No space left"):
        save_label_png(path, LABELS * 0, default_palette(19))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_does_not_fit_into_8_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.png go from 0 to 256"):
        save_label_png(tmp_path / "labels.png", np.array([[0, 256]]), default_palette(3))
    with pytest.raises(InputError, match=r"labels.png have shape \(1, 2, 3\)"):
        save_label_png(tmp_path / "labels.png", np.zeros((1, 2, 3), np.uint8), default_palette(3))
