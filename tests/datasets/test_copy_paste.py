"""Segments of one picture over another."""

import numpy as np
import pytest

from tessella.datasets import LabelClass, Sample
from tessella.datasets.copy_paste import CopyPaste
from tessella.errors import InputError


class Two:
    classes = (LabelClass("a", (0, 0, 0)), LabelClass("b", (1, 1, 1)))
    ids = ("one",)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        labels = np.zeros((20, 30), dtype=np.uint8)
        labels[2:8, 3:9] = 1
        labels[10:15, 20:25] = 1
        labels[18:] = 255
        return Sample("one", np.full((20, 30, 3), 200, dtype=np.uint8), labels)


def unchanged(sample, rng):
    return sample


TARGET = Sample("target", np.zeros((20, 30, 3), dtype=np.uint8), np.full((20, 30), 7, dtype=np.uint8))


def test_whole_segments_with_their_pixels():
    source = Two()[0]
    seen = set()
    for seed in range(40):
        result = CopyPaste(unchanged, Two(), 1.0)(TARGET, np.random.default_rng(seed))
        pasted = result.labels != 7
        assert np.array_equal(result.labels[pasted], source.labels[pasted])
        assert (result.image[pasted] == 200).all()
        assert (result.image[~pasted] == 0).all()
        assert not pasted[18:].any()  # what is ignored says nothing
        segments = [pasted[2:8, 3:9], pasted[10:15, 20:25], pasted[:18][source.labels[:18] == 0]]
        assert all(part.all() or not part.any() for part in segments)
        seen.add(tuple(bool(part.all()) for part in segments))
    assert len(seen) == 8


def test_share_of_the_images():
    pasting = CopyPaste(unchanged, Two(), 0.5)
    changed = [(pasting(TARGET, np.random.default_rng(s)).labels != 7).any() for s in range(200)]
    assert 0.3 < np.mean(changed) < 0.6  # an eighth of those pasted has no segment
    assert (CopyPaste(unchanged, Two(), 0.0)(TARGET, np.random.default_rng(0)).labels == 7).all()


def test_another_size():
    larger = Sample("large", np.zeros((25, 30, 3), dtype=np.uint8), np.zeros((25, 30), dtype=np.uint8))
    with pytest.raises(
        InputError, match=r"^copy_paste: one has another size or kind than large; train on a crop"
    ):
        CopyPaste(unchanged, Two(), 1.0)(larger, np.random.default_rng(0))
