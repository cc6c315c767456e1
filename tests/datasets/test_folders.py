import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import truncate, write_image, write_labels

from tessella.datasets.colors import distinct_colors
from tessella.datasets.files import find_images
from tessella.datasets.folders import Folders
from tessella.datasets.sample import LabelClass
from tessella.errors import InputError


def write_tiff(path: Path, image: np.ndarray) -> None:
    """Uncompressed TIFF [H, W, C] of 8 or 16 bit with any number of channels, which no writer here offers."""
    height, width, channels = image.shape
    bits = image.dtype.itemsize * 8
    bits_at = 8
    pixels_at = bits_at + 2 * channels
    tags = [  # tag, type (3 short, 4 long), count, value or offset
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, pixels_at),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, image.nbytes),
        (284, 3, 1, 1),
        (338, 3, channels - 1, pixels_at + image.nbytes if channels > 3 else 0),  # up to two fit in the tag
    ]
    data = struct.pack("<2sHI", b"II", 42, pixels_at + image.nbytes + 2 * (channels - 1))
    data += struct.pack(f"<{channels}H", *[bits] * channels) + image.tobytes()
    data += struct.pack(f"<{channels - 1}H", *[0] * (channels - 1))
    data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes(data)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "images", tmp_path / "labels"
    for i, name in enumerate(("a", "deep/b")):
        write_image(images / f"{name}.png", i)
        write_labels(labels / f"{name}.png", [0, 1, 2, 255], i)
    return images, labels


def test_matches_by_name_below_the_folder(folders: tuple[Path, Path]) -> None:
    data = Folders(*folders, classes=["sky", LabelClass("road", (1, 2, 3)), "car"])
    assert data.ids == ("a", "deep/b")
    assert data.classes[1] == LabelClass("road", (1, 2, 3))
    assert data.classes[0].name == "sky"
    np.testing.assert_array_equal(data[1].labels, write_labels(folders[1] / "deep/b.png", [0, 1, 2, 255], 1))


def test_hidden_files_and_links_round_and_round(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    (images / "._a.png").write_bytes(b"of an archive")
    (images / ".thumbnails").mkdir()
    (images / ".thumbnails" / "a.png").write_bytes(b"small")
    (images / "deep" / "up").symlink_to("..")
    (images / "far").symlink_to(labels)
    (labels / "back").symlink_to(images)
    assert list(find_images(images, ".png")) == ["a", "deep/b", "far/a", "far/deep/b"]


def test_ignore_index_and_unknown_label(folders: tuple[Path, Path]) -> None:
    labels = Folders(*folders, classes=3, ignore_index=0)[0].labels
    assert set(np.unique(labels)) == {1, 2, 255}
    with pytest.raises(InputError, match=r"a\.png: label id 2 "):
        Folders(*folders, classes=2)[0]


def test_suffixes(tmp_path: Path) -> None:
    write_image(tmp_path / "a_rgb.jpg")
    write_labels(tmp_path / "a_mask.png", [0, 1])
    data = Folders(tmp_path, tmp_path, classes=2, image_suffix="_rgb", label_suffix="_mask")
    assert data.ids == ("a",)
    assert data[0].labels is not None


def test_images_and_labels_in_one_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png")
        write_labels(tmp_path / f"{name}_mask.png", [0, 1])
    assert Folders(tmp_path, tmp_path, classes=2, label_suffix="_mask").ids == ("a", "b")


def test_unlabelled(folders: tuple[Path, Path]) -> None:
    data = Folders(folders[0], None, classes=3)
    assert len(data) == 2
    assert data[0].labels is None


def test_orphans(folders: tuple[Path, Path]) -> None:
    write_image(folders[0] / "c.png")
    write_labels(folders[1] / "d.png", [0])
    with pytest.raises(InputError, match=r"c\.png: has no label map"):
        Folders(*folders, classes=3)
    data = Folders(*folders, classes=3, skip_orphans=True)
    assert len(data) == 2
    assert [line.split(": ")[1][:12] for line in data.orphans] == ["has no label", "has no image"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_reads_any_depth_and_channels_in_rgb_order(
    tmp_path: Path, dtype: type, channels: int, ending: str
) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, channels), dtype)
    order = [2, 1, 0, 3][:channels] if channels >= 3 else [0]
    cv2.imwrite(str(tmp_path / f"a.{ending}"), image[:, :, order])
    read = Folders(tmp_path, None, classes=2)[0].image
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 5, 13])
def test_reads_multispectral_npy(tmp_path: Path, dtype: type, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, channels), dtype)
    np.save(tmp_path / "a.npy", image)
    np.testing.assert_array_equal(Folders(tmp_path, None, classes=2)[0].image, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [5, 13])
def test_reads_multispectral_tiff(tmp_path: Path, dtype: type, channels: int) -> None:
    pytest.importorskip("tifffile")
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, channels), dtype)
    write_tiff(tmp_path / "a.tif", image)
    np.testing.assert_array_equal(Folders(tmp_path, None, classes=2)[0].image, image)
    truncate(tmp_path / "a.tif")
    with pytest.raises(InputError, match="truncated"):
        Folders(tmp_path, None, classes=2)[0]


def test_multispectral_tiff_names_the_package_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    write_tiff(tmp_path / "a.tif", np.zeros((9, 7, 5), np.uint8))
    with pytest.raises(InputError, match="pip install tifffile"):
        Folders(tmp_path, None, classes=2)[0]


def test_palette_labels_are_indices(folders: tuple[Path, Path]) -> None:
    ids = np.random.default_rng(0).integers(0, 3, (24, 32), np.uint8)
    picture = Image.fromarray(ids)
    picture.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    picture.save(folders[1] / "a.png")
    np.testing.assert_array_equal(Folders(*folders, classes=3)[0].labels, ids)


def test_16_bit_and_bilevel_labels(folders: tuple[Path, Path]) -> None:
    ids = np.random.default_rng(0).integers(0, 2, (24, 32), np.uint16)
    Image.fromarray(ids).save(folders[1] / "a.png")
    np.testing.assert_array_equal(Folders(*folders, classes=3)[0].labels, ids)
    Image.fromarray(ids.astype(bool)).save(folders[1] / "a.png")
    np.testing.assert_array_equal(Folders(*folders, classes=3)[0].labels, ids)
    ids[3, 4] = 300
    Image.fromarray(ids).save(folders[1] / "a.png")
    with pytest.raises(InputError, match="label id 300 "):
        Folders(*folders, classes=3)[0]


def test_color_labels_are_refused(folders: tuple[Path, Path]) -> None:
    write_image(folders[1] / "a.png")
    with pytest.raises(InputError, match="has 3 channels"):
        Folders(*folders, classes=3)[0]


@pytest.mark.parametrize("keep", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "npy"])
def test_truncated_images_are_errors(tmp_path: Path, ending: str, keep: float) -> None:
    path = tmp_path / f"a.{ending}"
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    np.save(path, image) if ending == "npy" else cv2.imwrite(str(path), image)
    truncate(path, keep)
    with pytest.raises(InputError, match="truncated, damaged or no image"):
        Folders(tmp_path, None, classes=2)[0]


def test_a_jpeg_cut_after_its_thumbnail_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, size=(200, 200))
    whole, thumbnail = path.read_bytes(), tmp_path / "thumbnail.jpg"
    write_image(thumbnail)
    inside = thumbnail.read_bytes()
    thumbnail.unlink()
    tagged = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(inside) + 2) + inside + whole[2:]
    path.write_bytes(tagged)
    assert Folders(tmp_path, None, classes=2)[0].image.shape == (200, 200, 3)
    truncate(path, 0.8)
    with pytest.raises(InputError, match="truncated"):
        Folders(tmp_path, None, classes=2)[0]


def test_float_images_and_bad_shapes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 3)))
    np.save(tmp_path / "b.npy", np.zeros(4, np.uint8))
    data = Folders(tmp_path, None, classes=2)
    with pytest.raises(InputError, match="float64"):
        data[0]
    with pytest.raises(InputError, match="shape"):
        data[1]


def test_two_images_of_one_name(folders: tuple[Path, Path]) -> None:
    write_image(folders[0] / "a.jpg")
    with pytest.raises(InputError, match="same name"):
        Folders(*folders, classes=3)


def test_bad_arguments(folders: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="classes: 255"):
        Folders(*folders, classes=255)
    with pytest.raises(InputError, match="ignore_index: -1"):
        Folders(*folders, classes=3, ignore_index=-1)


def test_colors_are_distinct() -> None:
    assert len(set(distinct_colors(254))) == 254
    assert distinct_colors(3) == [(128, 0, 0), (0, 128, 0), (128, 128, 0)]
