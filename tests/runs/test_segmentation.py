"""What a run derives from its data: channel statistics, class weights, joined splits, other numbers of channels."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tessella.datasets import LabelClass, Sample
from tessella.errors import InputError
from tessella.networks import DeepLabV3Plus, ResNet
from tessella.recipes.camvid import camvid
from tessella.runs.evaluation import chosen_images
from tessella.runs.model import Model, load_model
from tessella.runs.prediction import Segmenter
from tessella.runs.segmentation import open_split
from tessella.runs.training import train
from tessella.runs.training_images import balanced_weights, channel_statistics
from tessella.training.machine import Machine


class Given:
    classes = (LabelClass("a", (0, 0, 0)), LabelClass("b", (9, 9, 9)))

    def __init__(self, images: list[np.ndarray], labels: list[np.ndarray] | None = None) -> None:
        self.images, self.labels = images, labels
        self.ids = [str(i) for i in range(len(images))]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.ids[index], self.images[index], self.labels[index] if self.labels else None)


def test_channel_statistics_on_the_scale_of_one() -> None:
    images = list(np.random.default_rng(0).integers(0, 65536, (5, 6, 7, 4), dtype=np.uint16))
    mean, std = channel_statistics(Given(images))
    flat = np.stack(images).reshape(-1, 4) / 65535
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std, flat.std(0), rtol=1e-6)


def test_balanced_weights_are_inverse_roots_of_the_shares() -> None:
    labels = np.array([[0, 0, 0, 0, 1, 255]], np.uint8)
    weights = balanced_weights(Given([np.zeros((1, 6, 3), np.uint8)], [labels]))
    assert weights[1] / weights[0] == pytest.approx(2)
    assert 0.8 * weights[0] + 0.2 * weights[1] == pytest.approx(1)


def test_balanced_weights_need_labels() -> None:
    with pytest.raises(InputError, match="0 has no labels"):
        balanced_weights(Given([np.zeros((1, 6, 3), np.uint8)]))


def test_classes_that_are_not_shown_weigh_as_the_rarest() -> None:
    data = Given([np.zeros((1, 6, 3), np.uint8)], [np.array([[0, 0, 0, 0, 1, 255]], np.uint8)])
    two = balanced_weights(data)
    data.classes = (*Given.classes, LabelClass("c", (1, 1, 1)))
    assert balanced_weights(data) == pytest.approx([*two, two[1]])


def test_balanced_weights_need_pixels_of_a_class() -> None:
    with pytest.raises(InputError, match=r"^class_weights: no pixel of 1 images has a class"):
        balanced_weights(Given([np.zeros((1, 6, 3), np.uint8)], [np.full((1, 6), 255, np.uint8)]))


@pytest.mark.parametrize("unlabelled", ["train", "val"])
def test_training_needs_labels(tmp_path: Path, unlabelled: str) -> None:
    def dataset(root: Path, split: str) -> Given:
        labels = None if split == unlabelled else [np.zeros((8, 8), np.uint8)]
        return Given([np.zeros((8, 8, 3), np.uint8)], labels)

    with pytest.raises(InputError, match=f"^{unlabelled}: 0 has no labels; train and validate on labelled"):
        train(replace(camvid(), dataset=dataset, weights=None), "mine", tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_joined_splits_keep_their_order() -> None:
    class Split(Given):
        def __init__(self, root: Path, split: str) -> None:
            super().__init__([np.full((2, 2, 3), ord(split), np.uint8)] * (2 if split == "a" else 3))
            self.ids = [f"{split}{i}" for i in range(len(self.images))]

    joined = open_split(replace(camvid(), dataset=partial(Split)), Path(), "a+b")
    assert [joined[i].id for i in range(len(joined))] == list(joined.ids) == ["a0", "a1", "b0", "b1", "b2"]


def test_pictures_of_the_report_are_the_worst_and_others() -> None:
    chosen = chosen_images([0.9, 0.1, float("nan"), 0.5, 0.3], 2)
    assert chosen[:2] == [1, 4]
    assert len(set(chosen)) == 4


def test_training_on_six_channels_of_sixteen_bit(tmp_path: Path) -> None:
    """Own folders with .npy images; the checkpoint knows its channels and their statistics."""
    data = tmp_path / "data"
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (data / split / kind).mkdir(parents=True)
        for name in "ab":
            np.save(data / split / "images" / name, rng.integers(0, 9999, (40, 50, 6), dtype=np.uint16))
            cv2.imwrite(
                str(data / split / "labels" / f"{name}.png"), rng.integers(0, 2, (40, 50), dtype=np.uint8)
            )
    (data / "classes.txt").write_text("soil\nleaf\n")
    from tessella.recipes.folders import folders_small

    network = partial(
        DeepLabV3Plus,
        backbone=partial(ResNet, depth=18, width=8),
        pyramid_channels=8,
        low_level_channels=8,
        decoder_channels=8,
    )
    config = replace(
        folders_small(), network=network, crop=(32, 32), batch_size=2, steps=2, validate_every=1, workers=0
    )
    machine = Machine(accelerator="cpu", precision="fp32", progress=False)
    train(config, "folders_small", data, tmp_path / "run", machine=machine)
    model = load_model(str(tmp_path / "run"))
    assert model.network.mean.numel() == 6
    image = torch.from_numpy(np.load(data / "val" / "images" / "a.npy")).permute(2, 0, 1)[None]
    assert model(image).shape == (1, 2, 40, 50)


@pytest.mark.parametrize("field", ["steps", "batch_size", "accumulate", "validate_every"])
def test_what_is_counted_from_one(field: str) -> None:
    with pytest.raises(InputError, match=f"^{field} is 0: give at least 1$"):
        replace(camvid(), **{field: 0})


@pytest.mark.parametrize("field", ["seed", "workers", "clip", "jitter", "warmup", "weight_decay", "isda"])
def test_what_is_not_below_zero(field: str) -> None:
    with pytest.raises(InputError, match=f"^{field} is -1: give at least 0$"):
        replace(camvid(), **{field: -1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ema", 1.0),
        ("jitter", 1.5),
        ("copy_paste", 2.0),
        ("learning_rate", float("nan")),
        ("clip", float("inf")),
    ],
)
def test_numbers_out_of_range(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{field} is {value}: "):
        replace(camvid(), **{field: value})


@pytest.mark.parametrize("field", ["crop", "resize"])
def test_sizes_without_pixels(field: str) -> None:
    assert getattr(replace(camvid(), **{field: None}), field) is None
    with pytest.raises(InputError, match=rf"^{field} is \(0, 9\): give a height"):
        replace(camvid(), **{field: (0, 9)})


def test_large_picture_of_a_model_that_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is brought to the model's size as a whole, however large it is."""
    seen = []

    class Constant(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(image.shape[-2:]))
            return torch.stack([image[:, 0], 1 - image[:, 0]], 1)

    model = Model(Constant(), resize=(20, 30))
    segmenter = Segmenter(model, None, torch.device("cpu"), resize=(20, 30))
    image = np.kron(np.random.default_rng(0).integers(0, 256, (5, 5, 1)), np.ones((12, 18, 3))).astype(
        np.uint8
    )
    small = segmenter.labels(image)
    monkeypatch.setattr("tessella.runs.prediction.LARGE_IMAGE_PIXELS", 1000)
    np.testing.assert_array_equal(segmenter.labels(image), small)
    assert seen == [(20, 30)] * 2


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_and_transparent_pictures_are_shown_in_colour(channels: int) -> None:
    segmenter = Segmenter(Model(torch.nn.Identity()), None, torch.device("cpu"), channels=3)
    image = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    colours = image[..., :3] if channels == 4 else image[..., [0, 0, 0]]
    torch.testing.assert_close(segmenter.posteriors(image), segmenter.posteriors(colours))


def test_more_classes_than_a_label_map_holds() -> None:
    class Many(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.new_zeros(len(image), 257, *image.shape[2:])

    with pytest.raises(InputError, match="the model has 257 classes"):
        Segmenter(Model(Many()), None, torch.device("cpu")).labels(np.zeros((4, 5, 3), np.uint8))


def test_model_that_was_trained_on_resized_images_answers_at_the_size_it_is_asked() -> None:
    class Constant(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            assert image.shape[-2:] == (20, 30)
            return torch.stack([image.mean(1), -image.mean(1)], 1)

    posteriors = Model(Constant(), resize=(20, 30))(torch.full((1, 3, 40, 60), 255, dtype=torch.uint8))
    assert posteriors.shape == (1, 2, 40, 60)
    torch.testing.assert_close(posteriors.sum(1), torch.ones(1, 40, 60))
