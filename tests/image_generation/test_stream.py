"""What training takes: conditions, their own image and neighbours'."""

import numpy as np
import pytest
import torch

from tessella.datasets.pairs import mirrored, paired
from tessella.image_generation import Neighbours
from tessella.image_generation.stream import Draw, Example, Numbered, gather


def pairs(number=8, size=(6, 10)):
    random = np.random.default_rng(0)
    return [
        paired(
            f"train/{index}",
            random.random((*size, 3)).astype(np.float32),
            random.integers(0, 256, (*size, 3), dtype=np.uint8),
        )
        for index in range(number)
    ]


def mirror(pair):
    return mirrored(pair, signs=(-1.0, 1.0, 1.0))


def test_numbers():
    data = pairs()
    assert len(Numbered(data)) == 8
    index, pair = Numbered(data)[3]
    assert (index, pair.id) == (3, "train/3")


def neighbours(data, number=3, **options):
    random = np.random.default_rng(1)
    places = np.stack([pair.place for pair in data])
    return Neighbours(places, random.random((len(data), 8)).astype(np.float32), number, **options)


def test_own_image_first_then_neighbours():
    data = pairs()
    images = [pair.image for pair in data]
    near = neighbours(data, quantile=1.0)
    draw = Draw(None, near, images)
    for index in range(8):
        example = draw((index, data[index]), np.random.default_rng(index))
        assert len(example.targets) == 4
        np.testing.assert_array_equal(example.condition, data[index].condition)
        np.testing.assert_array_equal(example.targets[0], data[index].image)
        others = near.draw(index, np.random.default_rng(index))
        for target, other in zip(example.targets[1:], others, strict=True):
            np.testing.assert_array_equal(target, images[other])
            assert other != index


def test_all_is_mirrored_or_nothing():
    data = pairs()
    images = [pair.image for pair in data]
    near = neighbours(data, quantile=1.0)
    mirrored_ones = 0
    for seed in range(200):
        plain = Draw(None, near, images)((2, data[2]), np.random.default_rng(seed))
        example = Draw(mirror, near, images)((2, data[2]), np.random.default_rng(seed))
        is_mirrored = not np.array_equal(example.condition, plain.condition)
        mirrored_ones += is_mirrored
        side = -1 if is_mirrored else 1
        signs = np.array([side, 1, 1], np.float32)
        np.testing.assert_array_equal(example.condition, plain.condition[:, ::side] * signs)
        for target, wanted in zip(example.targets, plain.targets, strict=True):
            np.testing.assert_array_equal(target, wanted[:, ::side])
    assert 70 < mirrored_ones < 130


def test_without_neighbours_and_mirror_the_pair_itself():
    data = pairs()
    example = Draw()((1, data[1]), np.random.default_rng(0))
    assert len(example.targets) == 1
    np.testing.assert_array_equal(example.targets[0], data[1].image)


def test_zero_near_ones_leave_the_image_alone():
    data = pairs()
    far = neighbours(data, quantile=1e-6)
    far.near = [np.array([], int)] * 8
    example = Draw(mirror, far, [pair.image for pair in data])((1, data[1]), np.random.default_rng(0))
    assert len(example.targets) == 1


@pytest.mark.parametrize("counts", [(1, 1), (3, 1, 2)])
def test_gathered_targets_are_marked(counts):
    random = np.random.default_rng(0)
    examples = [
        Example(
            random.random((6, 10, 2)).astype(np.float32),
            [random.integers(0, 256, (6, 10, 3), dtype=np.uint8)[:, ::-1] for _ in range(count)],
        )
        for count in counts
    ]
    batch = gather(examples)
    assert batch["condition"].shape == (len(counts), 2, 6, 10)
    assert batch["condition"].dtype == torch.float32
    assert batch["targets"].shape == (len(counts), max(counts), 3, 6, 10)
    assert batch["targets"].dtype == torch.uint8
    assert batch["present"].sum(1).tolist() == list(counts)
    for item, example in enumerate(examples):
        np.testing.assert_array_equal(batch["condition"][item].permute(1, 2, 0), example.condition)
        for place in range(max(counts)):
            there = place < counts[item]
            assert batch["present"][item, place] == there
            wanted = example.targets[place] if there else np.zeros((6, 10, 3))
            np.testing.assert_array_equal(batch["targets"][item, place].permute(1, 2, 0), wanted)
