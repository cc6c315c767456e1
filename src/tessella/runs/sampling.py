"""Samples features for label maps, and what the frozen decoder sees in them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from tessella.datasets import IGNORE_INDEX, LabelClass, Sample, class_names
from tessella.datasets.files import read_map
from tessella.datasets.loading import planes
from tessella.datasets.transforms import Resize
from tessella.errors import InputError, naming
from tessella.feature_synthesis.analysis import distribution
from tessella.files import npz, png, write_bytes, write_json
from tessella.metrics import ConfusionMatrix, SegmentationScores
from tessella.pictures import colorize, contact_sheet, difference, legend, save_label_png, to_rgb8
from tessella.pictures.channels import channel_picture
from tessella.runs.evaluation import palette_of
from tessella.runs.feature_gan import TrainedGenerator
from tessella.runs.prediction import find_pictures
from tessella.runs.segmentation import open_split

CHANNELS = 4
"""Of a feature have histograms, those that tell classes apart best; the first two of them are on the sheet."""

ON_SHEET = 8
"""Layouts, at most, that are on the sheet."""

COUNTED = 16
"""Layouts, at most, whose features are in the histograms."""


class Layout(NamedTuple):
    """A label map [H, W] uint8 by name; with the image [H, W, C] that it is of, where that is known."""

    name: str
    labels: np.ndarray
    image: np.ndarray | None = None


class Sampled(NamedTuple):
    """What the frozen decoder saw: in sampled features, and in those of the images themselves where each has one."""

    synthetic: SegmentationScores
    real: SegmentationScores | None


def find_layouts(inputs: Iterable[str], trained: TrainedGenerator) -> Iterator[Layout]:
    """Label maps (PNGs of class ids), folders of them, and splits of the network's data set as PATH:SPLIT.

    Raises InputError where there is none.
    """
    for text in inputs:
        folder, colon, split = text.rpartition(":")
        if colon and not Path(text).exists():
            dataset = open_split(trained.of_network, Path(folder), split)
            if class_names(dataset.classes) != class_names(trained.classes):
                raise InputError(f"{text}: has other classes than the generator")
            for index in range(len(dataset)):
                sample = dataset[index]
                if sample.labels is None:
                    raise InputError(f"{text}: {sample.id} has no labels, so it is no layout")
                yield _at_size_of_network(Layout(sample.id, sample.labels, sample.image), trained)
        else:
            for picture in find_pictures([Path(text)]):
                yield _at_size_of_network(Layout(picture.name, read_map(picture.file)), trained)


def _at_size_of_network(layout: Layout, trained: TrainedGenerator) -> Layout:
    """As large as what the network was trained on, if its recipe resizes images."""
    size = trained.of_network.resize
    if size is None:
        return layout
    image = layout.image if layout.image is not None else layout.labels[..., None]
    sample = Resize(size)(Sample(layout.name, image, layout.labels), np.random.default_rng(0))
    assert sample.labels is not None
    return Layout(layout.name, sample.labels, None if layout.image is None else sample.image)


@torch.no_grad()
def sample_features(
    trained: TrainedGenerator,
    layouts: Iterable[Layout],
    out: Path,
    *,
    codes: int = 1,
    seed: int = 0,
    save: bool = False,
    device: torch.device,
) -> Sampled:
    """Write ``decoded/NAME_CODE.png`` (class ids read in it), ``sheet.png``, ``scores.json``, ``histograms.npz``.

    codes: features of each layout. seed: of the codes. save: also write ``features/NAME_CODE.npz``, [C, h, w] float16.

    Raises InputError for a label that the generator does not know, codes below 1, two layouts of one name, and none.
    """
    if codes < 1:
        raise InputError(f"codes: {codes}; give at least 1")
    trained.network.to(device)
    palette = palette_of(trained.classes)
    synthetic, real = ConfusionMatrix(len(trained.classes)), ConfusionMatrix(len(trained.classes))
    chance = torch.Generator().manual_seed(seed)
    rows: list[_Row] = []
    count, images_missing = 0, False
    seen: set[str] = set()
    for layout in layouts:
        count += 1
        if layout.name in seen:
            raise InputError(f"two layouts are named {layout.name}: sample them into separate folders")
        seen.add(layout.name)
        labels = torch.from_numpy(layout.labels.astype(np.int64))[None].to(device)
        size = (labels.shape[1], labels.shape[2])
        of_image = None
        if layout.image is None:
            images_missing = True
        else:
            images = planes(layout.image)[None].to(device)
            of_image = trained.halves.encode(images)
            real.update(trained.halves.decode(of_image, size).argmax(1), labels)
        for code in range(codes):
            with naming(layout.name):
                features = trained.make(labels, trained.draw(labels, chance))
            decoded = trained.halves.decode(features, size).argmax(1)
            synthetic.update(decoded, labels)
            name = f"{layout.name}_{code}"
            map_ = decoded[0].to("cpu", torch.uint8).numpy()
            save_label_png(out / "decoded" / f"{name}.png", map_, palette)
            if save:
                kept = features[0].to("cpu", torch.float16).numpy()
                write_bytes(out / "features" / f"{name}.npz", npz([("features", kept)]))
            if len(rows) < COUNTED and code == 0:
                real_feature = None if of_image is None else of_image[0].float().cpu()
                rows.append(_Row(layout, map_, features[0].cpu(), real_feature))
    if not count:
        raise InputError("there is no layout to sample features for")
    channels = _telling(rows)
    write_bytes(out / "histograms.npz", npz(_histograms(rows, channels, len(trained.classes)).items()))
    sheet = _sheet(rows[:ON_SHEET], channels[:2], palette, trained.classes)
    write_bytes(out / "sheet.png", png(sheet))
    result = Sampled(
        synthetic.compute(), real.compute() if real.matrix.sum() and not images_missing else None
    )
    write_json(
        out / "scores.json",
        {
            "classes": [{"name": name, "color": list(color)} for name, color in trained.classes],
            "layouts": count,
            "codes": codes,
            "seed": seed,
            "at": trained.config.at,
            "side": trained.config.side,
            "synthetic": result.synthetic.as_row(),
            "real": None if result.real is None else result.real.as_row(),
        },
    )
    return result


class _Row(NamedTuple):
    layout: Layout
    decoded: np.ndarray
    features: Tensor
    real: Tensor | None


def _histograms(rows: list[_Row], channels: list[int], num_classes: int) -> dict[str, np.ndarray]:
    """counts [2 or 1, K, C, 256]: of sampled features and of those of images, over the same range of each channel."""
    samples = [(row.features[channels], _labels(row.layout)) for row in rows]
    sources = 1
    if all(row.real is not None for row in rows):
        sources = 2
        # As classes of their own, so that they share their bins.
        samples += [
            (row.real[channels], torch.where(labels < 0, labels, labels + num_classes))
            for row, (_, labels) in zip(rows, list(samples), strict=True)
            if row.real is not None
        ]
    found = distribution(samples, sources * num_classes, norm=None)
    counts = found.counts.reshape(sources, num_classes, *found.counts.shape[1:])
    return {"counts": counts, "low": found.low, "high": found.high, "channels": np.array(channels)}


def _labels(layout: Layout) -> Tensor:
    """-1 where they are ignored: with two sets of more than 127 classes, 255 is one."""
    labels = torch.from_numpy(layout.labels.astype(np.int64))
    return labels.masked_fill(labels == IGNORE_INDEX, -1)


def _sheet(
    rows: list[_Row], channels: list[int], palette: np.ndarray, classes: tuple[LabelClass, ...]
) -> np.ndarray:
    """Image, layout, what was decoded and where it differs; then channels of the sampled and of the real feature."""
    lines = []
    pairs = any(row.real is not None for row in rows)
    for layout, decoded, features, real in rows:
        size = (layout.labels.shape[0], layout.labels.shape[1])
        line = [None if layout.image is None else to_rgb8(layout.image)]
        line += [
            colorize(layout.labels, palette),
            colorize(decoded, palette),
            difference(decoded, layout.labels),
        ]
        for channel in channels:
            reference = features if real is None else real
            low, high = np.quantile(reference[channel].numpy(), (0.02, 0.98))
            line.append(channel_picture(features[channel].numpy(), low, high, size))
            if pairs:
                of_image = None if real is None else channel_picture(real[channel].numpy(), low, high, size)
                line.append(of_image)
        lines.append(line)
    titles = ["Image", "Layout", "Decoded", "Difference"]
    for channel in channels:
        titles += [f"Channel {channel}", *(["of the image"] if pairs else [])]
    if not pairs:
        lines, titles = [line[1:] for line in lines], titles[1:]
    sheet = contact_sheet(lines, titles, height=120)
    names = legend(classes, width=sheet.shape[1])
    return np.concatenate([sheet, names[:, : sheet.shape[1]]])


def _telling(rows: list[_Row]) -> list[int]:
    """Channels whose means over classes differ most, beside their deviation."""
    channels = len(rows[0].features)
    sums, sizes = torch.zeros(channels, 256, dtype=torch.float64), torch.zeros(256, dtype=torch.float64)
    squares = torch.zeros(channels, dtype=torch.float64)
    for row in rows:
        height, width = row.features.shape[1:]
        small = cv2.resize(row.layout.labels, (width, height), interpolation=cv2.INTER_NEAREST)
        index = torch.from_numpy(small.reshape(-1).astype(np.int64))
        values = row.features.flatten(1).double()
        sums.index_add_(1, index, values)
        sizes += index.bincount(minlength=256)
        squares += values.square().sum(1)
    shown = sizes > 0
    if shown[:IGNORE_INDEX].any():
        shown[IGNORE_INDEX] = False
    means = sums[:, shown] / sizes[shown]
    variance = squares / sizes.sum() - (sums.sum(1) / sizes.sum()).square()
    telling = means.std(1, correction=0) / variance.clamp(min=1e-12).sqrt()
    return telling.topk(min(CHANNELS, channels)).indices.tolist()
