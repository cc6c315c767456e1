"""Files are complete or absent, whatever happens while they are written."""

import io
import os

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.files import jpeg, npz, png, write_bytes, write_json, write_text

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def test_a_folder_is_made_and_nothing_lies_beside(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"content")
    write_text(tmp_path / "a" / "b" / "d.txt", "grün\n")
    write_json(tmp_path / "a" / "b" / "e.json", {"x": [1, None]})
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["c.bin", "d.txt", "e.json"]
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"content"
    assert (tmp_path / "a" / "b" / "d.txt").read_text("utf-8") == "grün\n"
    assert (tmp_path / "a" / "b" / "e.json").read_text() == '{\n "x": [\n  1,\n  null\n ]\n}\n'


def test_what_cannot_be_written_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    write_bytes(tmp_path / "file", b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"cannot write .*file: No space left on device"):
        write_bytes(tmp_path / "file", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


def test_a_file_where_a_folder_must_be(tmp_path):
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(InputError, match=r"cannot write .*file: File exists"):
        write_bytes(tmp_path / "file" / "inner", b"")


@pytest.mark.parametrize(
    "picture", [PICTURE, PICTURE[..., 0], PICTURE[..., 0].astype(np.uint16) * 257, PICTURE[..., [0, 1, 2, 0]]]
)
def test_png_gives_back_what_it_was_given(picture):
    found = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    order = {2: [], 3: [2, 1, 0] if picture.shape[-1] == 3 else [2, 1, 0, 3]}[picture.ndim]
    np.testing.assert_array_equal(found[..., order] if order else found, picture)


def test_jpeg_is_rgb():
    red = np.broadcast_to(np.array([200, 30, 40], np.uint8), (16, 16, 3))
    found = cv2.imdecode(np.frombuffer(jpeg(red), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(found, red, atol=4)


def test_npz_of_equal_arrays_is_equal():
    arrays = {"one": PICTURE, "two": np.arange(3.0)}
    assert npz(arrays.items()) == npz({name: values.copy() for name, values in arrays.items()}.items())
    with np.load(io.BytesIO(npz(arrays.items()))) as found:
        for name, values in arrays.items():
            np.testing.assert_array_equal(found[name], values)
