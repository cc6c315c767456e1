"""From samples to batches, in an order that can be taken up again at any step.

The samples of a training run are one endless stream. What stands at a position of the stream, and how it is augmented,
is a pure function of (seed, position): no state lives in a sampler, a worker process or an epoch.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypedDict

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tessella.datasets.sample import Sample, SegmentationDataset
from tessella.datasets.transforms import Transform
from tessella.errors import InputError


class Batch(TypedDict, total=False):
    """Samples of one size, stacked.

    image: [B, C, H, W] uint8, uint16 or float32. labels: [B, H, W] int64. depth: [B, H, W] float32, metres.
    neighbours: [B, T, C, H, W]. regions: [B, 1 + T, L, H, W] int64, of the image and its neighbours, -1 for none.
    id: B strings. What the samples lack is absent.

    A sample with fewer neighbours than another is filled up with its own image, which has no regions there.
    """

    image: Tensor
    labels: Tensor
    depth: Tensor
    neighbours: Tensor
    regions: Tensor
    id: list[str]
    extra_image: Tensor
    extra_labels: Tensor


class SampleStream(Dataset[Sample]):
    """The endless stream of a data set's samples: a new permutation each epoch, a new augmentation each time."""

    def __init__(self, dataset: SegmentationDataset, transform: Transform, seed: int) -> None:
        self.dataset = dataset
        self.transform = transform
        self.seed = seed

    def __getitem__(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self.dataset))
        index = _permutation(self.seed, epoch, len(self.dataset))[place]
        return self.transform(self.dataset[int(index)], np.random.default_rng((self.seed, 1, position)))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(length)


class StreamBatches(Sampler[list[int]]):
    """Positions of the stream's batches for one of ``world_size`` processes, from batch ``start`` on, without end."""

    def __init__(self, batch_size: int, start: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self.batch_size = batch_size
        self.start = start
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[list[int]]:
        batch = self.start
        while True:
            first = (batch * self.world_size + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))
            batch += 1


class DrawnSamples(Dataset[Sample]):
    """Samples by (index, seed of the augmentation)."""

    def __init__(self, dataset: SegmentationDataset, transform: Transform) -> None:
        self.dataset = dataset
        self.transform = transform

    def __getitem__(self, drawn: tuple[int, int]) -> Sample:
        index, seed = drawn
        return self.transform(self.dataset[index], np.random.default_rng(seed))


class PoissonBatches(Sampler[list[tuple[int, int]]]):
    """Batches without end for ``DrawnSamples``: each image is in each with the same chance, so some are empty.

    What differential privacy counts on is that nobody knows who was in which batch. So the draws are new in every
    process, and follow no seed unless one is given for a test.
    """

    def __init__(self, images: int, batch_size: int, seed: int | None = None) -> None:
        self.images = images
        self.rate = batch_size / images
        self.seed = seed

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        random = np.random.default_rng(self.seed)
        while True:
            chosen = np.flatnonzero(random.random(self.images) < self.rate)
            yield [(int(index), int(random.integers(2**63))) for index in chosen]


class BlendedStream(Dataset[Sample]):
    """Two streams as one: at each position chance, by ``seed``, takes the second with probability ``share``."""

    def __init__(self, first: SampleStream, second: SampleStream, share: float, seed: int) -> None:
        self.first, self.second, self.share, self.seed = first, second, share, seed

    def __getitem__(self, position: int) -> Sample:
        second = from_second(position, self.share, self.seed)
        return (self.second if second else self.first)[position]


def from_second(position: int, share: float, seed: int) -> bool:
    """Whether a ``BlendedStream`` takes its second stream there."""
    return bool(np.random.default_rng((seed, 2, position)).random() < share)


class Transformed(Dataset[Sample]):
    """A data set in its own order, each sample transformed; what chance decides is the same for all, and always."""

    def __init__(self, dataset: SegmentationDataset, transform: Transform) -> None:
        self.dataset = dataset
        self.transform = transform
        self.classes, self.ids = dataset.classes, dataset.ids

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.dataset[index], np.random.default_rng(0))


class _Ahead(DataLoader[Any]):
    """Takes the next batch out of the workers' queue, which costs milliseconds, while the caller works on this one."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        return _one_ahead(batches) if self.num_workers else batches


def _one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


class Beside:
    """Batches of ``main``, each with image and labels of a batch of ``extra`` beside its own."""

    def __init__(self, main: DataLoader[Any], extra: DataLoader[Any]) -> None:
        self.main, self.extra = main, extra

    def __iter__(self) -> Iterator[Batch]:
        for batch, extra in zip(self.main, self.extra, strict=False):
            yield {**batch, "extra_image": extra["image"], "extra_labels": extra["labels"]}


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size into a batch of tensors; the image keeps its data type.

    InputError: a sample has another size, number of channels or data type than the first.
    """
    first = samples[0]
    for sample in samples:
        if (sample.image.shape, sample.image.dtype) != (first.image.shape, first.image.dtype):
            raise InputError(
                f"{sample.id} is {_form(sample.image)}, {first.id} is {_form(first.image)}: images of a batch need one "
                "size and one kind; train on a crop, or resize, for the size, and store all with the same channels"
            )
    batch = Batch(
        image=torch.stack([planes(sample.image) for sample in samples]),
        id=[sample.id for sample in samples],
    )
    if all(sample.labels is not None for sample in samples):
        labels = np.stack([sample.labels for sample in samples if sample.labels is not None])
        batch["labels"] = torch.from_numpy(labels.astype(np.int64))
    if all(sample.depth is not None for sample in samples):
        batch["depth"] = torch.from_numpy(np.stack([s.depth for s in samples if s.depth is not None]))
    neighbours = _fill_up([list(sample.neighbours) for sample in samples], samples)
    if neighbours[0]:
        batch["neighbours"] = torch.stack(
            [torch.stack([planes(view.image) for view in views]) for views in neighbours]
        )
    views = [[sample, *near] for sample, near in zip(samples, neighbours, strict=True)]
    if all(view.regions is not None for row in views for view in row):
        regions = [[view.regions for view in row if view.regions is not None] for row in views]
        batch["regions"] = torch.from_numpy(np.array(regions).astype(np.int64).transpose(0, 1, 4, 2, 3))
    return batch


def _form(image: np.ndarray) -> str:
    height, width, channels = image.shape
    return f"{width}x{height} with {channels} channels of {image.dtype}"


def _one_by_one(samples: Sequence[Sample]) -> list[Batch]:
    return [collate([sample]) for sample in samples]


def _fill_up(neighbours: list[list[Sample]], samples: Sequence[Sample]) -> list[list[Sample]]:
    """Equally many neighbours for each sample; those added are the sample itself, all of it in no region."""
    longest = max(map(len, neighbours))
    return [
        views
        + [replace(s, regions=None if s.regions is None else np.full_like(s.regions, -1))]
        * (longest - len(views))
        for s, views in zip(samples, neighbours, strict=True)
    ]


def planes(image: np.ndarray) -> Tensor:
    """[H, W, C] to a tensor [C, H, W] of its own memory."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def training_loader(
    dataset: SegmentationDataset,
    transform: Transform,
    batch_size: int,
    *,
    seed: int,
    workers: int = 0,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Any]:
    """Endless batches of augmented samples; begins at batch ``start`` of the same stream."""
    stream = SampleStream(dataset, transform, seed)
    return stream_loader(stream, batch_size, workers=workers, start=start, rank=rank, world_size=world_size)


def stream_loader(
    stream: Dataset[Any],
    batch_size: int,
    *,
    workers: int = 0,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
    gather: Callable[[Sequence[Any]], Any] = collate,
) -> DataLoader[Any]:
    """Endless batches of what stands at each position of a stream; ``gather`` makes a batch of samples."""
    return _Ahead(
        stream,
        batch_sampler=StreamBatches(batch_size, start, rank, world_size),
        **{**_workers(workers), "collate_fn": gather},
    )


def poisson_loader(
    dataset: SegmentationDataset, transform: Transform, batch_size: int, *, workers: int = 0
) -> DataLoader[Any]:
    """Endless lists of batches of one image each, ``batch_size`` of them on average, as ``PoissonBatches`` draws."""
    return _Ahead(
        DrawnSamples(dataset, transform),
        batch_sampler=PoissonBatches(len(dataset), batch_size),
        **{**_workers(workers), "collate_fn": _one_by_one},
    )


def evaluation_loader(
    dataset: SegmentationDataset,
    *,
    batch_size: int = 1,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> DataLoader[Any]:
    """Every sample once, in order; of several processes each reads its share."""
    return _Ahead(
        dataset,  # type: ignore[arg-type]
        batch_size=batch_size,
        sampler=range(rank, len(dataset), world_size),
        persistent_workers=workers > 0,  # for the next validation; those of a stream end with its only pass
        **_workers(workers),
    )


def _workers(workers: int) -> dict[str, Any]:
    return {
        "num_workers": workers,
        "collate_fn": collate,
        "worker_init_fn": _start_worker,
        "pin_memory": torch.cuda.is_available(),
    }


def _start_worker(_: int) -> None:
    # Ctrl-C reaches every process of the terminal; the parent decides when the workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Each worker is one of several: threads of OpenCV's own would only compete with the training's.
    cv2.setNumThreads(0)
