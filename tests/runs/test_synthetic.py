"""Training with synthetic features and its rivals, on blocks of colour."""

import csv
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.runs.blocks import MACHINE, blocks_config, write_blocks
from tests.runs.generators import SMALL

from tessella.cli import main
from tessella.datasets import Sample, SplitFolders
from tessella.datasets.loading import BlendedStream, training_loader
from tessella.errors import InputError
from tessella.feature_synthesis import FeatureGenerator
from tessella.runs.feature_gan import load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.model import load_model
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train
from tessella.training.mixed import MixedTask


def test_training_with_features(feature_runs, tmp_path):
    weights = str(feature_runs / "network" / "checkpoints" / "best.ckpt")
    generator, labels = str(feature_runs / "generator"), str(feature_runs / "data" / "val" / "labels")
    changes = {"steps": 4, "validate_every": 4, "weights": weights, "keep_statistics": True}
    named = {"masks": SplitFolders, "masks_data": str(feature_runs / "data"), "masks_split": "val"}
    for number, synthetic in enumerate(
        (
            Synthetic(generator),
            Synthetic(generator, hard=2, filter=1.25, masks_data=labels),
            Synthetic(generator, **named),
            Synthetic(generator, auxiliary_norms=True),
            Synthetic(hard=1),
        )
    ):
        config = blocks_config(synthetic=synthetic, **changes)
        run = tmp_path / str(number)
        assert train(config, "blocks", feature_runs / "data", run, machine=MACHINE).step == 4
        assert load_model(str(run)).config.synthetic.generator == synthetic.generator
    # Neither the generator nor training data is in the checkpoint.
    checkpoint = torch.load(tmp_path / "1" / "checkpoints" / "best.ckpt", weights_only=True)
    assert all(name.startswith(("network.", "class_loss")) for name in checkpoint["state_dict"])
    assert all(isinstance(position, int) for position in checkpoint["synthetic"]["hard"][0]["hardest"])


@pytest.fixture
def task_of(feature_runs, tmp_path, monkeypatch):
    """What ``train`` would train, for a configuration."""
    kept = []
    monkeypatch.setattr("tessella.runs.training.fit", lambda task, *_, **__: kept.append(task))

    def build(**changes):
        weights = str(feature_runs / "network" / "checkpoints" / "best.ckpt")
        config = blocks_config(weights=weights, **changes)
        train(config, "blocks", feature_runs / "data", tmp_path / "run", machine=MACHINE)
        return kept[-1]

    return build


def test_layouts_of_a_source_of_their_own_have_their_share(feature_runs, task_of):
    """Whatever is hard: the rest is replaced."""
    labels = str(feature_runs / "data" / "val" / "labels")
    task = task_of(synthetic=Synthetic(str(feature_runs / "generator"), hard=2, masks_data=labels))
    further = [task.extra.kept(position) for position in range(2000)]
    assert 0.2 < np.mean(further) < 0.3
    stream = BlendedStream([False] * 2000, [True] * 2000, 0.25, task.seed + 1_000_000)
    assert [stream[position] for position in range(2000)] == further


def test_a_network_with_frozen_stages_is_cut(feature_runs, task_of):
    """Also where images never change, and what frozen stages make of them could be kept on disk."""
    task = task_of(
        crop=None, jitter=0.0, frozen_stages=1, synthetic=Synthetic(str(feature_runs / "generator"))
    )
    logits, _ = task.extra.decode(torch.zeros(1, 48, 64, dtype=torch.long))
    assert logits.shape[2:] == (48, 64)


def test_only_features_are_smoothed(feature_runs, task_of):
    """The control sees real images twice, so it has one loss for them."""
    features = task_of(
        label_smoothing=0.2, synthetic=Synthetic(str(feature_runs / "generator"), label_smoothing=0.1)
    )
    assert (features.loss.label_smoothing, features.extra_loss.label_smoothing) == (0.2, 0.1)
    control = task_of(label_smoothing=0.2, synthetic=Synthetic(label_smoothing=0.1))
    assert (control.loss.label_smoothing, control.extra_loss.label_smoothing) == (0.2, 0.2)


def test_statistics_are_kept_where_there_are_features(feature_runs, task_of):
    generator = str(feature_runs / "generator")
    assert task_of(synthetic=Synthetic(generator)).keep_statistics
    assert not task_of(synthetic=Synthetic(generator, keep_statistics=False)).keep_statistics
    assert task_of(
        synthetic=Synthetic(generator, keep_statistics=False), keep_statistics=True
    ).keep_statistics
    assert not task_of(synthetic=Synthetic()).keep_statistics
    assert not task_of().keep_statistics


def test_layouts_alone_are_pasted(feature_runs):
    """Beside the same images: their own layouts, and these with segments of others over them."""
    data = SplitFolders(feature_runs / "data", "train")

    def unchanged(sample, rng):
        return sample

    def batches(**changes):
        main = training_loader(data, unchanged, 4, seed=0)
        beside = Synthetic("", **changes).beside(main, data, unchanged, 4, seed=0)
        return next(iter(beside))

    plain, pasted = batches(), batches(copy_paste=1.0)
    assert torch.equal(plain["labels"], pasted["labels"])
    assert not torch.equal(plain["extra_labels"], pasted["extra_labels"])


def test_layouts_need_a_generator_or_images(feature_runs, task_of):
    labels = str(feature_runs / "data" / "val" / "labels")
    with pytest.raises(
        InputError, match=r"masks_data .*: label maps alone need --synthetic.generator.*masks"
    ):
        task_of(synthetic=Synthetic(masks_data=labels, masks_share=1.0))
    for generator in ("", str(feature_runs / "generator")):
        with pytest.raises(
            InputError, match=r"synthetic\.masks names a data set: give --synthetic\.masks_data"
        ):
            task_of(synthetic=Synthetic(generator, masks=SplitFolders))
    task_of(synthetic=Synthetic(masks=SplitFolders, masks_data=str(feature_runs / "data")))


def test_images_that_others_made(feature_runs, tmp_path, monkeypatch):
    """A folder of them and their label maps stands in for a generator; the real images stay as they are."""
    made = write_blocks(tmp_path / "made", 3)
    for path in (made / "train" / "images").iterdir():
        cv2.imwrite(str(path), np.full((48, 64, 3), 200, np.uint8))
    kept = {}

    def fit(task, training, *_, **__):
        kept.update(task=task, batches=training(0, 0, 1))

    monkeypatch.setattr("tessella.runs.training.fit", fit)
    config = blocks_config(
        crop=None,
        jitter=0.0,
        synthetic=Synthetic(masks=SplitFolders, masks_data=str(made), masks_share=1.0),
    )
    train(config, "blocks", feature_runs / "data", tmp_path / "run", machine=MACHINE)
    batch = next(iter(kept["batches"]))
    layouts = {SplitFolders(made, "train")[index].labels.tobytes() for index in range(3)}
    assert (batch["extra_image"] == 200).all()
    assert len(batch["extra_image"]) == 2
    assert {each.astype(np.uint8).tobytes() for each in batch["extra_labels"].numpy()} <= layouts
    assert not (batch["image"] == 200).flatten(1).all(1).any()

    task = kept["task"]
    seen = []
    forward = task.network.forward_with_auxiliary
    monkeypatch.setattr(
        task.network, "forward_with_auxiliary", lambda images: (seen.append(images), forward(images))[1]
    )
    task._extra_loss(batch)
    assert torch.equal(seen[0], batch["extra_image"])  # the whole network learns from them


def test_hard_mining_goes_on_exactly(feature_runs, tmp_path):
    changes = {
        "weights": str(feature_runs / "network" / "checkpoints" / "best.ckpt"),
        "synthetic": Synthetic(str(feature_runs / "generator"), hard=2, filter=1.25),
        "validate_every": 3,
    }
    data = feature_runs / "data"
    train(blocks_config(steps=7, **changes), "blocks", data, tmp_path / "whole", machine=MACHINE)
    schedule = blocks_config(steps=7, **changes)

    def stop(task, batch):
        if task.global_step == 3 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise InputError("stopped")
        return loss_of(task, batch)

    loss_of = MixedTask.loss_of
    MixedTask.loss_of = stop
    try:
        with pytest.raises(InputError, match="stopped"):
            train(schedule, "blocks", data, tmp_path / "parts", machine=MACHINE)
        train(schedule, "blocks", data, tmp_path / "parts", machine=MACHINE, resume=True)
    finally:
        MixedTask.loss_of = loss_of
    whole, parts = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert whole["synthetic"] == parts["synthetic"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"at": "backbone.layer1.1"},
        {"generator": partial(FeatureGenerator, blocks=0, widths=(8, 8)), "at": "backbone.layer3"},
        {"layout_stride": 2},
        {"at": ""},
    ],
)
def test_features_are_as_large_as_the_networks(feature_runs, tmp_path, changes):
    """Also where the generator's own blocks would make them of another size."""
    config = replace(SMALL, network=str(feature_runs / "network"), steps=1, validate_every=1, **changes)
    train_generator(config, "features", feature_runs / "data", tmp_path / "run", machine=MACHINE)
    trained = load_generator(str(tmp_path / "run"))
    labels = torch.zeros(2, 48, 64, dtype=torch.long)
    made = trained.make(labels, torch.randn(2, 8))
    assert made.shape == trained.halves.encode(torch.zeros(2, 3, 48, 64)).shape


def test_rivals_change_what_is_learned(feature_runs, tmp_path):
    losses = set()
    for number, changes in enumerate(({}, {"isda": 1.0}, {"copy_paste": 0.5})):
        run = tmp_path / str(number)
        config = blocks_config(steps=3, validate_every=3, **changes)
        assert train(config, "blocks", feature_runs / "data", run, machine=MACHINE).step == 3
        with (run / "log.csv").open(newline="") as file:
            losses.add(list(csv.DictReader(file))[-1]["val_loss"])
    assert len(losses) == 3


def test_layouts_beside_images_of_other_channels(feature_runs, tmp_path):
    """Those without images have black ones of the data set's own kind."""
    for file in feature_runs.glob("data/train/labels/*.png"):
        cv2.imwrite(str(tmp_path / file.name), cv2.imread(str(file), cv2.IMREAD_UNCHANGED))

    class Deep:
        classes = SplitFolders(feature_runs / "data", "train").classes

        def __getitem__(self, index):
            return Sample("deep", np.zeros((48, 64, 6), dtype=np.uint16))

    further = Synthetic("made", masks_data=str(tmp_path))._further(Deep())
    assert (further[0].image.shape, further[0].image.dtype) == ((48, 64, 6), np.uint16)


def test_labels_to_train_on(feature_runs, tmp_path):
    images = feature_runs / "data" / "test" / "images"
    arguments = ["predict", str(feature_runs / "network"), str(images), "--out", str(tmp_path)]
    assert main([*arguments, "--sure", "0.7", "--posteriors"]) == 0
    posteriors = np.load(tmp_path / "posteriors" / "0.npz")["posteriors"].astype(np.float32)
    sure = posteriors.max(0) > 0.71
    found = np.array(Image.open(tmp_path / "labels" / "0.png"))
    assert np.array_equal(found[sure], posteriors.argmax(0)[sure])
    assert main([*arguments, "--sure", "1.5"]) == 2
