"""Generators of features in training, on blocks of colour."""

import csv
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from tests.runs.blocks import MACHINE, blocks_config, train_on_blocks, write_blocks
from tests.runs.generators import SMALL

from tessella.cli import main
from tessella.errors import InputError
from tessella.feature_synthesis import FeatureGenerator
from tessella.runs.defended import defended
from tessella.runs.feature_gan import FeatureGAN, load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.model import load_model
from tessella.runs.sampling import find_layouts, sample_features
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train
from tessella.training.feature_gan import FeatureGanTask


def test_too_many_blocks_are_told(feature_runs, tmp_path, capsys):
    config = replace(SMALL, network=str(feature_runs / "network"), layout_stride=2, steps=1)
    train_generator(config, "features", feature_runs / "data", tmp_path, machine=MACHINE)
    said = capsys.readouterr().out
    for name in ("generator", "discriminator"):
        assert f"{name}: layouts are reduced to 4x3, features are 8x6; give --{name}.blocks one less" in said


def test_training_shows_scores(feature_runs):
    with (feature_runs / "generator" / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_mean_iou"]]
    assert [row["step"] for row in rows] == ["119", "239"]
    assert float(rows[-1]["val_mean_iou"]) > 0.45
    assert float(rows[-1]["val_loss"]) < 0.8


def test_interrupted_training_goes_on_exactly(feature_runs, tmp_path, monkeypatch):
    config = replace(SMALL, network=str(feature_runs / "network"), steps=6, validate_every=3)
    data = feature_runs / "data"
    train_generator(config, "features", data, tmp_path / "whole", machine=MACHINE)
    step = FeatureGanTask.training_step

    def stops(self, batch, index):
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(FeatureGanTask, "training_step", stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train_generator(config, "features", data, tmp_path / "parts", machine=MACHINE)
    monkeypatch.undo()
    train_generator(config, "features", data, tmp_path / "parts", machine=MACHINE, resume=True)
    whole, parts = (
        load_generator(str(tmp_path / name / "checkpoints" / "last.ckpt")) for name in ("whole", "parts")
    )
    for name, value in whole.generator.state_dict().items():
        assert torch.equal(value, parts.generator.state_dict()[name]), name


def test_a_generator_that_diverges_leaves_the_last_good_state(feature_runs, tmp_path, monkeypatch):
    config = replace(SMALL, network=str(feature_runs / "network"), steps=8, validate_every=2)
    data = feature_runs / "data"
    message = r"is (nan|inf) at step \d+ \(images .*adversarial .*\): lower .*; no checkpoint was written$"
    with pytest.raises(InputError, match=message):
        train_generator(
            replace(config, learning_rate=1e20, ema=0.0), "features", data, tmp_path / "a", machine=MACHINE
        )
    assert not list((tmp_path / "a" / "checkpoints").iterdir())

    def spoil(task):
        if task.global_step == 3:
            next(task.gan.generator.parameters()).grad[0, 0, 0, 0] = float("nan")

    monkeypatch.setattr(FeatureGanTask, "on_after_backward", spoil)
    with pytest.raises(InputError, match=r"gradient is nan at step 3 .*last\.ckpt holds step 2$"):
        train_generator(config, "features", data, tmp_path / "b", machine=MACHINE)
    checkpoint = torch.load(tmp_path / "b" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["tessella"]["step"] == 2
    for part in ("state_dict", "current_model_state"):
        assert all(value.isfinite().all() for value in checkpoint[part].values())


def test_halves_of_your_own(feature_runs, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_cuts.py").write_text(
        "from tessella.feature_synthesis import Split, split\n"
        "def halves(network):\n"
        "    found = split(network, 'backbone.layer2')\n"
        "    return Split(lambda images: found.encode(images) / 2, lambda f, size: found.decode_all(2 * f, size))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data, network, run = str(feature_runs / "data"), feature_runs / "network", str(tmp_path / "run")
    small = {"generator.reduction_width": 4, "generator.widths": "8,8", "generator.blocks": 3, "steps": 2}
    options = [text for name, value in small.items() for text in (f"--{name}", str(value))]
    options += ["--workers", "0", "--no-progress", "--halves", "my_cuts.halves", "--network", str(network)]
    assert main(["train", "features", "--data", data, "--out", run, *options]) == 0
    with pytest.raises(InputError, match="--trust my_cuts"):
        load_generator(run)
    trained = load_generator(run, ("tessella", "my_cuts"))
    images = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8)
    with torch.no_grad():
        features = trained.halves.encode(images)
        assert features.shape == (1, 16, 6, 8)
        answer = trained.halves.decode(features, (48, 64))
        torch.testing.assert_close(answer.softmax(1), trained.network(images).softmax(1))

    assert main(["sample", run, f"{data}:val", "--out", str(tmp_path / "samples")]) == 2
    assert main(["sample", run, f"{data}:val", "--out", str(tmp_path / "samples"), "--trust", "my_cuts"]) == 0
    weights = str(network / "checkpoints" / "best.ckpt")
    config = blocks_config(synthetic=Synthetic(run), steps=1, validate_every=1, weights=weights)
    with pytest.raises(InputError, match="--trust my_cuts"):
        train(config, "blocks", feature_runs / "data", tmp_path / "more", machine=MACHINE)
    trusted = ("tessella", "my_cuts")
    assert (
        train(
            config, "blocks", feature_runs / "data", tmp_path / "more", machine=MACHINE, trusted=trusted
        ).step
        == 1
    )
    model = load_model(str(network))
    with pytest.raises(InputError, match="--trust my_cuts"):
        defended(model, model.network, ["synfeat"], run)
    assert defended(model, model.network, ["synfeat"], run, trusted=trusted)(images).shape == (1, 4, 48, 64)


def test_generators_of_something_else(feature_runs, tmp_path):
    generator, data = str(feature_runs / "generator"), feature_runs / "data"
    other = train_on_blocks(data, tmp_path / "other", steps=1, validate_every=1, seed=5)
    model = load_model(str(other))
    with pytest.raises(InputError, match="was trained for another network"):
        defended(model, model.network, ["synfeat"], generator)(torch.zeros(1, 3, 48, 64))
    wide = blocks_config(
        network=partial(blocks_config().network, head_channels=24), synthetic=Synthetic(generator)
    )
    with pytest.raises(InputError, match=r"was trained for another network"):
        train(wide, "blocks", data, tmp_path / "wide", machine=MACHINE)
    few = write_blocks(tmp_path / "few", 2)
    (few / "classes.txt").write_text("red\ngreen\nblue\nyellow\nviolet\n")
    with pytest.raises(
        InputError,
        match="makes features of the classes red, green, blue, yellow; the",
    ):
        train(
            blocks_config(synthetic=Synthetic(generator)), "blocks", few, tmp_path / "five", machine=MACHINE
        )
    with pytest.raises(InputError, match="other classes than"):
        train_generator(
            replace(SMALL, network=str(feature_runs / "network")),
            "features",
            few,
            tmp_path / "g",
            machine=MACHINE,
        )
    with pytest.raises(InputError, match="holds a segmentation network, not a generator"):
        load_generator(str(feature_runs / "network"))
    with pytest.raises(InputError, match="holds a generator of features"):
        load_model(generator)
    with pytest.raises(InputError, match="give --network RUN"):
        train_generator(SMALL, "features", data, tmp_path / "g", machine=MACHINE)
    with pytest.raises(InputError, match=r"no layer backbone.layer9; the nearest are backbone.layer"):
        train_generator(
            replace(SMALL, network=str(feature_runs / "network"), at="backbone.layer9"),
            "features",
            data,
            tmp_path / "g",
            machine=MACHINE,
        )


def test_bad_words_on_the_command_line(feature_runs, tmp_path, capsys):
    generator, data = str(feature_runs / "generator"), feature_runs / "data"
    bad = tmp_path / "bad.png"
    cv2.imwrite(str(bad), np.full((48, 64), 9, dtype=np.uint8))
    for arguments, message in (
        ((generator, str(bad)), "bad: the layout holds label 9: the generator knows classes 0 to 3"),
        ((generator, str(tmp_path / "none.png")), "does not exist"),
        ((generator, f"{data}:val", "--codes", "0"), "--codes 0"),
        ((str(feature_runs / "network"), str(bad)), "not a generator of features"),
    ):
        assert main(["sample", *arguments, "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    cv2.imwrite(str(bad), np.zeros((1, 1), dtype=np.uint8))
    # Of so few channels each is normalised by itself, for which it needs two places.
    trained = replace(load_generator(generator), generator=FeatureGenerator(5, 32, widths=(4, 4)))
    layouts = find_layouts([str(bad)], trained)
    with pytest.raises(InputError, match="bad: a layout of 1x1 is too small for the generator"):
        sample_features(trained, layouts, tmp_path, device=torch.device("cpu"))
    with pytest.raises(InputError, match="codes: 0; give at least 1"):
        sample_features(None, [], tmp_path / "out", codes=0, device=torch.device("cpu"))
    features = ("train", "features", "--data", str(data), "--network", str(feature_runs / "network"))
    for name, value, message in (
        ("layout_stride", "0", "layout_stride is 0: give at least 1"),
        ("batch_size", "0", "batch_size is 0: give at least 1"),
        ("steps", "0", "steps is 0: give at least 1"),
        ("validate_every", "-5", "validate_every is -5: give at least 1"),
        ("validation_images", "-3", "validation_images is -3: give at least 0"),
        ("kl", "-1", "kl is -1.0: give at least 0"),
        ("latent", "-0.5", "latent is -0.5: give at least 0"),
        ("ema", "2", "ema is 2.0: give 0 for none, or less than 1"),
        ("learning_rate", "0", "learning_rate is 0.0: give more than 0"),
        ("crop", "0x64", "crop is (0, 64): give a height and a width"),
    ):
        assert main([*features, "--out", str(tmp_path / "numbers"), f"--{name}", value]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "numbers").exists()
    for name in ("reconstruction", "ema", "learning_rate", "clip"):
        with pytest.raises(InputError, match=f"{name} is nan: give"):
            FeatureGAN(**{name: float("nan")})
    for wrong in ({"ratio": 1.0}, {"hard": -1}, {"masks_share": 5}, {"filter": -1}, {"copy_paste": 2}):
        with pytest.raises(InputError, match=f"synthetic.{next(iter(wrong))}"):
            Synthetic(**wrong)
    photos = str(data / "test" / "images" / "0.png")
    streets = ("train", "streets", "--data", str(data), "--out", str(tmp_path / "run"))
    assert main([*streets, "--synthetic.masks", "Nothing"]) == 2
    assert "synthetic.masks: 'Nothing'" in capsys.readouterr().err
    assert main(["train", "streets", "--synthetic.masks", "SplitFolders", "--fields"]) == 0
    assert "--synthetic.masks.images" in capsys.readouterr().out
    assert (
        main(["predict", str(feature_runs / "network"), photos, "--out", str(tmp_path), "--sure", "2"]) == 2
    )
    assert "sure 2" in capsys.readouterr().err
    assert main(["audit", "game", "features", "--data", str(data), "--out", str(tmp_path / "game")]) == 2
    assert "features trains no segmentation network" in capsys.readouterr().err
