"""The endless stream of samples, and batches."""

import multiprocessing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from tessella.datasets import LabelClass, Sample
from tessella.datasets.loading import (
    Beside,
    PoissonBatches,
    StreamBatches,
    collate,
    evaluation_loader,
    poisson_loader,
    training_loader,
)
from tessella.datasets.transforms import RandomAffineCrop
from tessella.errors import InputError


class Numbers:
    classes = (LabelClass("zero", (0, 0, 0)),)

    def __init__(self, length: int) -> None:
        self.ids = [str(i) for i in range(length)]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        image = np.random.default_rng(index).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        return Sample(str(index), image, np.zeros((8, 8), np.uint8))


def batches(count: int, **options):
    loader = training_loader(Numbers(7), RandomAffineCrop((6, 6)), 3, seed=1, **options)
    return list(islice(loader, count))


def test_each_epoch_is_another_permutation() -> None:
    ids = [id_ for batch in batches(7) for id_ in batch["id"]]
    epochs = [ids[0:7], ids[7:14], ids[14:21]]
    assert all(sorted(epoch) == list("0123456") for epoch in epochs)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_taken_up_again_is_the_same(workers: int) -> None:
    whole, rest = batches(6), batches(3, start=3, workers=workers)
    for a, b in zip(whole[3:], rest, strict=True):
        assert a["id"] == b["id"]
        assert torch.equal(a["image"], b["image"])


def test_no_process_outlives_the_pass_over_a_stream() -> None:
    main, extra = (training_loader(Numbers(7), RandomAffineCrop((6, 6)), 3, seed=1, workers=1) for _ in "ab")
    batches = iter(Beside(main, extra))
    assert "extra_labels" in next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


def test_processes_share_the_stream() -> None:
    one = [position for batch in islice(StreamBatches(6), 4) for position in batch]
    two = [list(islice(StreamBatches(3, 0, rank, 2), 4)) for rank in (0, 1)]
    assert [p for pair in zip(*two, strict=True) for batch in pair for p in batch] == one


def test_another_seed_is_another_stream() -> None:
    first = next(iter(training_loader(Numbers(7), RandomAffineCrop((6, 6)), 7, seed=1)))
    second = next(iter(training_loader(Numbers(7), RandomAffineCrop((6, 6)), 7, seed=2)))
    assert first["id"] != second["id"]


def test_evaluation_reads_every_sample_once() -> None:
    parts = [
        [id_ for batch in evaluation_loader(Numbers(7), rank=rank, world_size=2) for id_ in batch["id"]]
        for rank in (0, 1)
    ]
    assert parts == [["0", "2", "4", "6"], ["1", "3", "5"]]


def test_collate_keeps_types_and_leaves_out_what_is_lacking() -> None:
    image = np.zeros((4, 5, 2), np.uint16)
    labelled = Sample(
        "a", image, np.full((4, 5), 255, np.uint8), np.ones((4, 5), np.float32), (Sample("n", image),)
    )
    batch = collate([labelled, labelled])
    assert batch["image"].shape == (2, 2, 4, 5)
    assert batch["image"].dtype == torch.uint16
    assert batch["labels"].dtype == torch.int64
    assert batch["labels"].max() == 255
    assert batch["neighbours"].shape == (2, 1, 2, 4, 5)
    assert batch["depth"].shape == (2, 4, 5)
    assert set(collate([Sample("a", image)])) == {"image", "id"}


def test_samples_with_fewer_views_are_filled_up_by_views_that_are_nowhere() -> None:
    def view(value: int) -> Sample:
        return Sample("v", np.full((4, 5, 3), value, np.uint8), regions=np.full((4, 5, 2), value, np.int32))

    whole, half = (replace(view(9), neighbours=near) for near in ((view(1), view(2)), (view(3),)))
    batch = collate([whole, half])
    assert batch["neighbours"].shape == (2, 2, 3, 4, 5)
    assert batch["regions"].shape == (2, 3, 2, 4, 5)
    assert batch["regions"].dtype == torch.int64
    assert batch["regions"][:, :, 1, 2, 3].tolist() == [[9, 1, 2], [9, 3, -1]]
    assert batch["neighbours"][1, :, 0, 0, 0].tolist() == [3, 9]
    alone = collate([view(4)])
    assert "neighbours" not in alone
    assert alone["regions"].shape == (1, 1, 2, 4, 5)
    assert "regions" not in collate([replace(whole, regions=None)])


@pytest.mark.parametrize("workers", [0, 1])
def test_error_of_a_loading_process_is_the_same_line(workers: int) -> None:
    class Damaged(Numbers):
        def __getitem__(self, index: int) -> Sample:
            raise InputError(f"{index}.png is truncated: replace it")

    with pytest.raises(InputError, match=r"^\d\.png is truncated: replace it$"):
        next(iter(training_loader(Damaged(3), RandomAffineCrop((6, 6)), 1, seed=1, workers=workers)))


def test_poisson_batches_draw_each_image_with_the_same_chance_and_alone() -> None:
    drawn = np.zeros((4000, 10))
    seeds = set()
    for row, batch in zip(drawn, PoissonBatches(10, 2, seed=0), strict=False):
        row[[index for index, _ in batch]] = 1
        seeds |= {seed for _, seed in batch}
    np.testing.assert_allclose(drawn.mean(0), 0.2, atol=0.025)
    correlation = np.corrcoef(drawn.T) - np.eye(10)
    assert abs(correlation).max() < 0.06
    assert (drawn.sum(1) == 0).mean() == pytest.approx(0.8**10, abs=0.02)
    assert len(seeds) == drawn.sum()


def test_poisson_batches_follow_no_seed() -> None:
    first, second = (list(islice(PoissonBatches(50, 25), 3)) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("workers", [0, 1])
def test_poisson_loader_gives_images_one_by_one(workers: int) -> None:
    loader = poisson_loader(Numbers(7), RandomAffineCrop((6, 6)), 1, workers=workers)
    found = list(islice(loader, 30))
    assert {len(batch) for batch in found} >= {0, 1}
    assert all(image["image"].shape == (1, 3, 6, 6) for batch in found for image in batch)


@pytest.mark.parametrize(
    ("image", "form"),
    [
        (np.zeros((8, 9, 3), np.uint8), "9x8 with 3 channels of uint8"),
        (np.zeros((8, 8, 1), np.uint8), "8x8 with 1 channels of uint8"),
        (np.zeros((8, 8, 3), np.uint16), "8x8 with 3 channels of uint16"),
    ],
)
def test_samples_of_several_forms(image: np.ndarray, form: str) -> None:
    with pytest.raises(InputError, match=f"^other is {form}, 0 is 8x8 with 3 channels of uint8: images of a"):
        collate([Numbers(1)[0], Sample("other", image)])
