import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.fabricate import fabricate_oxford_pets, write_head, write_image, write_labels

from tessella.datasets import OxfordPetHeads
from tessella.datasets.oxford_pets import names_of_split, read_box
from tessella.errors import InputError


def test_split_takes_every_tenth_of_a_breed() -> None:
    names = [f"pug_{i}" for i in range(1, 40, 2)] + [f"great_dane_{i}" for i in range(100, 112)]
    test = names_of_split("test", names)
    assert test == ["great_dane_109", "pug_19", "pug_39"]  # by number, not by letter
    assert sorted(test + names_of_split("train", reversed(names))) == sorted(names)
    with pytest.raises(InputError, match=r"pug\.xml: is not named"):
        names_of_split("train", ["pug"])


def test_only_images_with_a_head(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    train, test = (OxfordPetHeads(tmp_path, split, condition="edges") for split in ("train", "test"))
    assert test.ids == ("test/Abyssinian_10", "test/Abyssinian_20", "test/pug_10", "test/pug_20")
    assert len(train) == 36
    assert "train/pug_21" not in train.ids


def test_crop_counts_from_one(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    pair = OxfordPetHeads(tmp_path, "train", size=20, condition="edges")[0]
    photo = np.asarray(Image.open(tmp_path / "images/Abyssinian_1.jpg"))
    np.testing.assert_array_equal(pair.image, photo[5:25, 10:30])
    assert pair.condition.shape == (20, 20, 1)


def test_wide_box_moves_into_the_picture(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    write_head(tmp_path / "annotations/xmls/Abyssinian_1.xml", (1, 1, 30, 10))
    pair = OxfordPetHeads(tmp_path, "train", size=30, condition="edges")[0]
    photo = np.asarray(Image.open(tmp_path / "images/Abyssinian_1.jpg"))
    np.testing.assert_array_equal(pair.image, photo[:30, :30])


def test_trimap_goes_with_the_crop(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    write_head(tmp_path / "annotations/xmls/Abyssinian_1.xml", (1, 1, 50, 10))  # 50 wide, of 40 rows
    trimap = np.asarray(Image.open(tmp_path / "annotations/trimaps/Abyssinian_1.png"))
    data = OxfordPetHeads(tmp_path, "train", size=50, condition="trimap")
    condition = data[0].condition
    assert data.condition_channels == 3
    assert (condition.sum(axis=2) == 1).all()
    labels = condition.argmax(axis=2) + 1
    np.testing.assert_array_equal(labels[20:], trimap[:30, :50])
    assert (labels[:20] == 2).all()
    assert not data[0].image[:20].any()
    np.testing.assert_array_equal(data.mirror(data[0]).condition, condition[:, ::-1])


def test_normals_are_those_of_the_crop(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    data = OxfordPetHeads(tmp_path, "train")
    picture = np.asarray(Image.open(tmp_path / "annotations/normals/Abyssinian_1.png"))
    pair = data[0]
    np.testing.assert_allclose(pair.condition, picture / 127.5 - 1, atol=1e-6)
    assert pair.image.shape == (96, 96, 3)
    mirror = data.mirror(pair)
    np.testing.assert_array_equal(mirror.condition[..., 0], -pair.condition[:, ::-1, 0])
    np.testing.assert_array_equal(mirror.condition[..., 1:], pair.condition[:, ::-1, 1:])
    small = OxfordPetHeads(tmp_path, "train", size=48)[0].condition
    np.testing.assert_allclose(np.linalg.norm(small[small.any(axis=2)], axis=1), 1, rtol=1e-5)


def test_errors(tmp_path: Path) -> None:
    fabricate_oxford_pets(tmp_path)
    with pytest.raises(
        InputError, match="condition 'depth': is not known; choose one of edges, normals, trimap"
    ):
        OxfordPetHeads(tmp_path, "train", condition="depth")
    with pytest.raises(InputError, match="split 'val'"):
        OxfordPetHeads(tmp_path, "val")
    write_image(tmp_path / "annotations/normals/Abyssinian_1.png", size=(96, 90))
    with pytest.raises(InputError, match=r"Abyssinian_1\.png: is 90x96; give the normals of the square crop"):
        OxfordPetHeads(tmp_path, "train")[0]
    (tmp_path / "annotations/normals/pug_3.png").unlink()
    with pytest.raises(InputError, match=r"images/pug_3\.jpg: has no condition; add .*normals/pug_3\.png"):
        OxfordPetHeads(tmp_path, "train")
    trimaps = OxfordPetHeads(tmp_path, "train", condition="trimap")
    write_labels(tmp_path / "annotations/trimaps/Abyssinian_1.png", (1, 2, 3, 4), size=(40, 60))
    with pytest.raises(InputError, match="label id 4 "):
        trimaps[0]
    write_labels(tmp_path / "annotations/trimaps/Abyssinian_1.png", (1, 2, 3), size=(40, 50))
    with pytest.raises(InputError, match="is 50x40, but its image"):
        trimaps[0]


@pytest.mark.parametrize(
    "text", ["", "<annotation/>", "<annotation><object><bndbox><xmin>3</xmin></bndbox></object></annotation>"]
)
def test_damaged_boxes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.xml: holds no box"):
        read_box(path)
    write_head(path, (10, 10, 5, 20))
    with pytest.raises(InputError, match=r"a\.xml: its box ends before it begins"):
        read_box(path)


@pytest.mark.realdata
def test_real_data() -> None:
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("TESSELLA_DATA is not set")
    root = Path(os.environ["TESSELLA_DATA"]) / "oxford_pets_3breeds"
    data = OxfordPetHeads(root, "train", condition="trimap")
    assert (len(data), len(OxfordPetHeads(root, "test", condition="trimap"))) == (162, 18)
    share = np.mean([data[index].condition.mean(axis=(0, 1)) for index in range(0, 162, 8)], axis=0)
    assert share[0] > 0.5  # a head's box is mostly pet
    assert share.sum() == pytest.approx(1)
