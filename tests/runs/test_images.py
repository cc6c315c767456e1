"""Generators and judges of images in training, on tiny pairs of normals and images."""

import csv
import json
from functools import partial

import numpy as np
import pytest
import torch
from tests.datasets.fabricate import write_pts
from tests.runs.blocks import MACHINE, train_on_blocks, write_blocks
from tests.runs.spheres import FEW, LANDMARKS, NORMALS, TINY, learn, regression, write_spheres

from tessella.datasets.pairs import Pair, own_image
from tessella.errors import InputError
from tessella.image_generation import (
    ImageBicycleGAN,
    LateSplit,
    PerceptualDistance,
    Shared,
)
from tessella.networks import VGG16, VGG19
from tessella.runs.feature_gan import load_generator
from tessella.runs.image_training import train_images
from tessella.runs.images import (
    ImageJudge,
    ImageTranslation,
    build,
    holds_images,
    load_images,
    load_judge,
    perceptual_features,
)
from tessella.runs.model import load_model
from tessella.training.learners import Judge
from tessella.training.machine import Machine


def state(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_complete(spheres):
    config = json.loads((spheres / "shared" / "config.json").read_text())
    assert config["recipe"] == "spheres"
    with (spheres / "shared" / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    assert [row["step"] for row in rows] == ["2", "5"]
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert holds_images(str(spheres / "shared"))


def test_what_is_loaded_is_what_was_trained(spheres):
    trained = load_images(str(spheres / "shared"))
    assert trained.condition_channels == 3
    assert isinstance(trained.generator, Shared)
    kept = state(spheres / "shared")
    for name, value in trained.generator.state_dict().items():
        assert torch.equal(value, kept[f"model.generator.{name}"]), name
    torch.manual_seed(0)
    fresh = build(regression(spheres), 3).generator
    assert torch.equal(fresh.codes, trained.generator.codes)  # training leaves codes as they were drawn
    assert not torch.equal(fresh.head.image.weight, trained.generator.head.image.weight)
    assert not any(p.requires_grad for p in trained.generator.parameters())


def test_weights_are_balanced_by_default_and_what_compares_stays(spheres):
    kept = state(spheres / "shared")
    assert not torch.equal(kept["model.loss.distance.weights"], torch.tensor(PerceptualDistance.AUTHORS))
    judge = load_judge(str(spheres / "judge"))
    for name, value in judge.features.state_dict().items():
        assert torch.equal(value, kept[f"model.loss.distance.features.{name}"]), name


def test_given_weights_are_taken(spheres, tmp_path):
    given = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    learn(regression(spheres, weights=given, steps=1), spheres, tmp_path / "run")
    assert state(tmp_path / "run")["model.loss.distance.weights"].tolist() == list(given)


@pytest.mark.parametrize(("kind", "ema"), [("shared", 0.9), ("bicycle", 0.0)])
def test_interrupted_training_goes_on_exactly(spheres, tmp_path, monkeypatch, kind, ema):
    config = {
        "shared": regression(spheres, ema=ema, steps=4, validate_every=2),
        "bicycle": ImageTranslation(
            NORMALS, gan=partial(ImageBicycleGAN, width=2), steps=4, ema=ema, **{**FEW, "validate_every": 2}
        ),
    }[kind]
    learn(config, spheres, tmp_path / "whole")

    from tessella.training.images import ImageTask

    def broken(self, batch, number):
        if self.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, batch, number)

    step = ImageTask.training_step
    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "training_step", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            learn(config, spheres, tmp_path / "parts")
    assert torch.load(tmp_path / "parts" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert learn(config, spheres, tmp_path / "parts", resume=True).step == 4
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_the_schedule_of_targets(spheres, monkeypatch):
    """Branches take turns, then each image trains its best branch, then neighbours come."""
    seen = []
    model = build(regression(spheres, warm_up=2, neighbours_from=4), 3)

    def note(generator, conditions, targets, present, branch):
        seen.append((branch, targets.shape[1], present.shape[1]))
        assert targets.max() <= 1
        return torch.zeros(())

    monkeypatch.setattr(model.loss, "forward", note)
    batch = {
        "condition": torch.zeros(2, 3, 32, 32),
        "targets": torch.full((2, 3, 3, 32, 32), 255, dtype=torch.uint8),
        "present": torch.ones(2, 3, dtype=torch.bool),
    }
    for step in range(6):
        model.losses(batch, step)
    assert seen == [(0, 1, 1), (1, 1, 1), (None, 1, 1), (None, 1, 1), (None, 3, 3), (None, 3, 3)]


def test_training_in_bf16(spheres, tmp_path):
    machine = Machine(accelerator="cpu", precision="bf16", progress=False)
    config = regression(spheres, learning_rate=1e-2, steps=3)
    train_images(config, "spheres", spheres / "data", tmp_path / "run", machine=machine)
    torch.manual_seed(0)
    fresh = build(config, 3).generator.state_dict()
    for name, value in load_images(str(tmp_path / "run")).generator.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(value, fresh[name]) == (name == "codes"), name


def test_a_broken_loss_is_said(spheres, tmp_path):
    with pytest.raises(InputError, match=r"is (nan|inf) at step \d+: lower learning_rate; no checkpoint"):
        learn(regression(spheres, learning_rate=1e20, warm_up=0, steps=20), spheres, tmp_path / "run")


def test_one_branch_and_no_neighbours(spheres, tmp_path):
    generator = partial(LateSplit, branches=1, widths=TINY)
    assert learn(regression(spheres, generator=generator, neighbours=0), spheres, tmp_path / "run").step == 6
    assert load_images(str(tmp_path / "run")).generator.branches == 1


def test_a_generator_learns(spheres, tmp_path):
    config = regression(spheres, steps=24, warm_up=4, learning_rate=2e-2, val_split="train", validate_every=6)
    learn(config, spheres, tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert losses[-1] < 0.8 * losses[0]


def test_a_foreign_checkpoint(tmp_path):
    data = write_blocks(tmp_path / "blocks", 2)
    run = train_on_blocks(data, tmp_path / "segmentation", steps=1, validate_every=1)
    assert not holds_images(str(run))
    with pytest.raises(InputError, match="holds no judge of images"):
        load_judge(str(run))
    with pytest.raises(InputError, match="holds no generator of images"):
        load_images(str(run))
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(InputError, match="was not written by tessella train"):
        load_images(str(tmp_path / "foreign.ckpt"))
    (tmp_path / "broken.ckpt").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_images(str(tmp_path / "broken.ckpt"))


def test_unusable_training(spheres, tmp_path):
    def refuse(message, **changes):
        with pytest.raises(InputError, match=message):
            learn(regression(spheres, **changes), spheres, tmp_path / "run")
        assert not (tmp_path / "run" / "checkpoints").exists()

    refuse("give --perceptual RUN, what images are compared by", perceptual="")
    refuse("neighbours is 4 for 4 branches: each image needs a branch of its own", neighbours=4, candidates=9)
    refuse("neighbours: 2 of 1 candidates", candidates=1)
    refuse("quantile is 2", quantile=2.0)
    for number, warm_up in enumerate((0, 1)):
        with pytest.raises(InputError, match="2 weights for the image and 5 maps"):
            learn(
                regression(spheres, weights=(1.0, 1.0), warm_up=warm_up),
                spheres,
                tmp_path / f"weights{number}",
            )
    with pytest.raises(InputError, match="holds a run already"):
        learn(regression(spheres), spheres, "shared")
    with pytest.raises(InputError, match="no checkpoint"):
        learn(regression(spheres), spheres, tmp_path / "none", resume=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in ("steps", "batch_size", "validate_every", "learning_rate")),
        *(
            (name, -1)
            for name in ("validation_images", "workers", "neighbours", "warm_up", "neighbours_from")
        ),
        *(("ema", value) for value in (-0.1, 1.0, float("nan"))),
        *(("learning_rate", value) for value in (-1.0, float("nan"), float("inf"))),
        ("seed", -1),
    ],
)
def test_fields_that_nothing_can_be_trained_with(spheres, field, value):
    with pytest.raises(InputError, match=f"{field} is {value}: "):
        regression(spheres, **{field: value})


def test_an_embedding_has_images_to_tell_apart():
    with pytest.raises(InputError, match=r"^batch_size is 1: an embedding tells the images of a batch apart"):
        ImageJudge(NORMALS, kind="embedding", batch_size=1)


def test_each_validation_image_counts_alike(spheres, tmp_path, monkeypatch):
    """Also those of the last batch, which is smaller: 16 and 2 of 18."""
    monkeypatch.setattr(Judge, "distance", lambda self, batch: torch.tensor(float(len(batch["condition"]))))
    write_spheres(tmp_path / "data", number=18)
    config = ImageJudge(
        NORMALS, width=2, steps=1, val_split="train", **{**FEW, "validate_every": 1, "validation_images": 18}
    )
    learn(config, tmp_path, "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        (loss,) = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert loss == pytest.approx((16 * 16 + 2 * 2) / 18, abs=1e-4)


def test_generators_and_judges_of_images_are_no_segmentation_networks(spheres):
    for name in ("shared", "judge"):
        with pytest.raises(
            InputError, match="holds a generator or a judge of images, not a segmentation network"
        ):
            load_model(str(spheres / name))
        with pytest.raises(InputError, match="a generator or a judge of images, not a generator of features"):
            load_generator(str(spheres / name))


def test_neighbours_of_a_single_condition(spheres, tmp_path):
    write_spheres(tmp_path / "data", 1)
    given = regression(spheres, weights=(1.0,) * 6)
    with pytest.raises(InputError, match="neighbours is 2, but none of 1 conditions has one"):
        train_images(given, "spheres", tmp_path / "data", tmp_path / "run", machine=MACHINE)


def test_a_judge_of_landmarks_that_there_are_not(spheres, tmp_path):
    config = ImageJudge(NORMALS, kind="landmarks", width=2, steps=1, **FEW)
    with pytest.raises(InputError, match="kind is landmarks, but train/000 has none: give maps or embedding"):
        learn(config, spheres, tmp_path / "run")


@pytest.mark.parametrize(("network", "layers"), [(VGG16, 27), (VGG19, 31)])
def test_weights_of_either_vgg_compare_images(spheres, tmp_path, network, layers):
    """The file says which of them it is of."""
    with torch.device("meta"):
        deep = network()
    state = {name: torch.full(value.shape, 1e-3) for name, value in deep.state_dict().items()}
    torch.save(state, tmp_path / "vgg.pth")
    found = perceptual_features(regression(spheres, perceptual=str(tmp_path / "vgg.pth")))
    assert len(found.layers) == layers
    assert all((value == 1e-3).all() for value in found.layers.state_dict().values())


def test_an_image_without_a_condition(spheres, tmp_path):
    data = write_spheres(tmp_path / "data")
    (data / "train" / "conditions" / "003.png").unlink()
    with pytest.raises(InputError, match=r"003\.png"):
        train_images(regression(spheres), "spheres", data, tmp_path / "run", machine=MACHINE)


def test_a_damaged_condition_met_in_training(spheres, tmp_path):
    """By the process that loads data: its message arrives as one line."""
    data = write_spheres(tmp_path / "data")
    (data / "train" / "conditions" / "003.png").write_bytes(b"no picture")
    config = ImageJudge(NORMALS, width=2, steps=9, **{**FEW, "workers": 1})
    with pytest.raises(InputError, match=r"^\S*003\.png: [^\n]*$"):
        train_images(config, "spheres", data, tmp_path / "run", machine=MACHINE)


def test_landmarks_that_cannot_be_mirrored(marked):
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=4, **FEW)
    with pytest.raises(InputError, match="3 landmarks: cannot be mirrored"):
        train_images(config, "marks", marked, marked / "judge", machine=MACHINE)


def test_a_landmark_outside_the_image(marked):
    write_pts(marked / "train" / "conditions" / "1.pts", np.array([[3.0, 3], [40, 5], [9, 9]]))
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=4, mirror=False, **FEW)
    with pytest.raises(InputError, match=r"1\.pts: landmark 1 at \(40.*outside the 32x32 image"):
        train_images(config, "marks", marked, marked / "judge", machine=MACHINE)


def test_a_condition_alone_cannot_train():
    pair = Pair("train/7", np.zeros((4, 4, 3), np.float32), None, np.zeros(3, np.float32))
    with pytest.raises(InputError, match="train/7: has a condition but no image"):
        own_image(pair)
