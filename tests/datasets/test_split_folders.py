from pathlib import Path

import cv2
import numpy as np
import pytest

from tessella.datasets import SplitFolders
from tessella.errors import InputError


def fabricate(root: Path, names: str = "soil\nleaf\n\nstem\n") -> None:
    root.mkdir(exist_ok=True)
    (root / "classes.txt").write_text(names)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        cv2.imwrite(str(root / split / "images" / "a.jpg"), np.full((8, 9, 3), 50, np.uint8))
        cv2.imwrite(
            str(root / split / "labels" / "a.png"), np.array([[0, 1, 2, 255] * 2 + [0]] * 8, np.uint8)
        )


def test_reads_images_labels_and_names(tmp_path: Path) -> None:
    fabricate(tmp_path)
    data = SplitFolders(tmp_path, "train")
    assert [label_class.name for label_class in data.classes] == ["soil", "leaf", "stem"]
    sample = data[0]
    assert data.ids == ("train/a",)
    assert sample.image.shape == (8, 9, 3)
    assert sample.labels is not None
    assert sample.labels[0].tolist() == [0, 1, 2, 255, 0, 1, 2, 255, 0]


def test_names_in_unicode_with_a_mark_or_without(tmp_path: Path) -> None:
    fabricate(tmp_path)
    for start in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "classes.txt").write_bytes(start + "straße\nb\nc".encode())
        assert SplitFolders(tmp_path, "train").classes[0].name == "straße"
    (tmp_path / "classes.txt").write_bytes("straße\nb\nc".encode("latin-1"))
    with pytest.raises(InputError, match=r"classes.txt: is not encoded in UTF-8"):
        SplitFolders(tmp_path, "train")


def test_other_folder_names(tmp_path: Path) -> None:
    fabricate(tmp_path)
    (tmp_path / "train" / "images").rename(tmp_path / "photos")
    data = SplitFolders(tmp_path, "train", images="photos", labels="{split}/labels", ignore_index=2)
    assert 2 not in np.unique(data[0].labels)


def test_missing_names_and_folders(tmp_path: Path) -> None:
    fabricate(tmp_path)
    with pytest.raises(InputError, match="test/images: no such folder"):
        SplitFolders(tmp_path, "test")
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(InputError, match=r"classes.txt is missing: write the names"):
        SplitFolders(tmp_path, "train")


def test_label_outside_the_named_classes(tmp_path: Path) -> None:
    fabricate(tmp_path, "soil\nleaf\n")
    with pytest.raises(InputError, match=r"a\.png.*2"):
        SplitFolders(tmp_path, "train")[0]
