"""Splits of one's own."""

from functools import partial

import numpy as np
import pytest
from tests.datasets.fabricate import fabricate_camvid

from tessella.datasets import CamVid, Joined, Listed
from tessella.datasets.joined import joined_by_name
from tessella.errors import InputError


@pytest.fixture
def root(tmp_path):
    fabricate_camvid(tmp_path / "camvid")
    return tmp_path / "camvid"


def test_joined_is_one_after_the_other(root):
    parts = [CamVid(root, split) for split in ("train", "test")]
    joined = Joined(parts)
    assert len(joined) == 6
    assert joined.ids == parts[0].ids + parts[1].ids
    assert [joined[place].id for place in range(6)] == list(joined.ids)
    assert np.array_equal(joined[4].image, parts[1][1].image)


def test_joined_images_of_one_id(root):
    parts = [CamVid(root, split) for split in ("train", "val", "val")]
    assert len(Joined(parts)) == 9  # two folders may hold files of one name
    with pytest.raises(InputError, match=r"^val/0001TP_000000: is 2 images"):
        joined_by_name(parts)


def test_listed_images_of_any_split(root, tmp_path):
    (tmp_path / "mine.txt").write_text("test/0001TP_000001\n\ntrain/0001TP_000002\n")
    dataset = Listed(root, "mine", dataset=partial(CamVid), lists=str(tmp_path))
    assert dataset.ids == ("test/0001TP_000001", "train/0001TP_000002")
    assert dataset.classes == CamVid(root, "train").classes
    assert np.array_equal(dataset[1].image, CamVid(root, "train")[2].image)
    assert dataset[0].id == "test/0001TP_000001"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no image"),
        ("test/0001TP_000001\ntest/0001TP_000001\n", "an image twice"),
        ("test/nothing\n", "lists test/nothing, which is not in train, val, test"),
    ],
)
def test_bad_lists(root, tmp_path, text, message):
    (tmp_path / "mine.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        Listed(root, "mine", dataset=partial(CamVid), lists=str(tmp_path))


def test_a_list_that_is_missing(root, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError, match=r"yours.txt: is missing; splits there are mine"):
        Listed(root, "yours", dataset=partial(CamVid), lists=str(tmp_path))
