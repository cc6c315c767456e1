"""Generators of features from training to use, on blocks of colour."""

import csv
import json
import runpy
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.runs.blocks import MACHINE, blocks_config, train_on_blocks, write_blocks

from tessella.cli import main
from tessella.datasets import Sample, SplitFolders
from tessella.datasets.loading import BlendedStream, training_loader
from tessella.errors import InputError
from tessella.feature_synthesis import FeatureDiscriminator, FeatureGenerator
from tessella.pictures import colorize
from tessella.pictures.difference import BLACK, CYAN, RED, WHITE
from tessella.runs.defended import defended
from tessella.runs.evaluation import palette_of
from tessella.runs.feature_gan import FeatureGAN, load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.model import load_model
from tessella.runs.sampling import Layout, _Row, _telling, find_layouts, sample_features
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train
from tessella.training.feature_gan import FeatureGanTask
from tessella.training.mixed import MixedTask

SMALL = FeatureGAN(
    generator=partial(FeatureGenerator, reduction_width=8, widths=(32, 32)),
    discriminator=partial(FeatureDiscriminator, reduction_width=4, widths=(16, 16)),
    steps=240,  # 120 end anywhere between 0.56 and 0.76 of mean IoU, by seed and CPU; 240 above 0.73
    batch_size=4,
    learning_rate=2e-3,
    ema=0.9,
    validate_every=120,
    workers=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a network that knows it, and a generator of its features."""
    folder = tmp_path_factory.mktemp("features")
    write_blocks(folder / "data")
    train_on_blocks(folder / "data", folder / "network", ema=0.9)
    config = replace(SMALL, network=str(folder / "network"))
    train_generator(config, "features", folder / "data", folder / "generator", machine=MACHINE)
    return folder


def test_the_network_reads_its_layouts_in_sampled_features(folder, tmp_path, capsys):
    arguments = ["sample", str(folder / "generator"), f"{folder / 'data'}:test", "--out", str(tmp_path)]
    assert main([*arguments, "--codes", "2", "--features"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["real"]["mean_iou"] > 0.6
    assert scores["synthetic"]["mean_iou"] > 0.7 * scores["real"]["mean_iou"]
    assert "Sampled features under the frozen decoder: mean IoU" in capsys.readouterr().out
    assert len(list((tmp_path / "decoded").rglob("*.png"))) == 12
    (first, *_) = (tmp_path / "features").rglob("*_0.npz")
    assert np.load(first)["features"].shape == (32, 6, 8)
    other = np.load(str(first).replace("_0.npz", "_1.npz"))["features"]
    assert not np.array_equal(np.load(first)["features"], other)  # another code
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 6 * 120

    labels = folder / "data" / "test" / "labels"
    assert main(["sample", str(folder / "generator"), str(labels), "--out", str(tmp_path / "maps")]) == 0
    of_maps = json.loads((tmp_path / "maps" / "scores.json").read_text())
    assert of_maps["real"] is None
    assert of_maps["synthetic"]["mean_iou"] > 0.7 * scores["real"]["mean_iou"]


def test_behind_a_rectifier_no_feature_is_below_zero(folder):
    trained = load_generator(str(folder / "generator"))
    labels = torch.zeros(2, 48, 64, dtype=torch.long)
    assert trained.config.side == "output"
    assert trained.make(labels, 5 * trained.draw(labels)).min() == 0


def test_too_many_blocks_are_told(folder, tmp_path, capsys):
    config = replace(SMALL, network=str(folder / "network"), layout_stride=2, steps=1)
    train_generator(config, "features", folder / "data", tmp_path, machine=MACHINE)
    said = capsys.readouterr().out
    for name in ("generator", "discriminator"):
        assert f"{name}: layouts are reduced to 4x3, features are 8x6; give --{name}.blocks one less" in said


def test_layouts_are_brought_to_the_size_of_the_network(folder):
    trained = load_generator(str(folder / "generator"))
    smaller = replace(trained, of_network=replace(trained.of_network, resize=(24, 32)))
    data = folder / "data"
    of_split, of_files = (
        list(find_layouts([text], smaller)) for text in (f"{data}:test", str(data / "test" / "labels"))
    )
    assert [layout.labels.shape for layout in of_split + of_files] == [(24, 32)] * 12
    for one, other in zip(of_split, of_files, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    assert of_split[0].image is not None
    assert of_files[0].image is None


def test_two_layouts_of_one_name(folder, tmp_path, capsys):
    (one, other) = (folder / "data" / split / "labels" / "0.png" for split in ("train", "test"))
    assert main(["sample", str(folder / "generator"), str(one), str(other), "--out", str(tmp_path)]) == 2
    assert "two layouts are named 0: sample them into separate folders" in capsys.readouterr().err


def test_training_shows_scores(folder):
    with (folder / "generator" / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_mean_iou"]]
    assert [row["step"] for row in rows] == ["119", "239"]
    assert float(rows[-1]["val_mean_iou"]) > 0.45
    assert float(rows[-1]["val_loss"]) < 0.8


def test_interrupted_training_goes_on_exactly(folder, tmp_path, monkeypatch):
    config = replace(SMALL, network=str(folder / "network"), steps=6, validate_every=3)
    data = folder / "data"
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


def test_a_generator_that_diverges_leaves_the_last_good_state(folder, tmp_path, monkeypatch):
    config = replace(SMALL, network=str(folder / "network"), steps=8, validate_every=2)
    data = folder / "data"
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


def test_training_with_features(folder, tmp_path):
    weights = str(folder / "network" / "checkpoints" / "best.ckpt")
    generator, labels = str(folder / "generator"), str(folder / "data" / "val" / "labels")
    changes = {"steps": 4, "validate_every": 4, "weights": weights, "keep_statistics": True}
    named = {"masks": SplitFolders, "masks_data": str(folder / "data"), "masks_split": "val"}
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
        assert train(config, "blocks", folder / "data", run, machine=MACHINE).step == 4
        assert load_model(str(run)).config.synthetic.generator == synthetic.generator
    # Neither the generator nor training data is in the checkpoint.
    checkpoint = torch.load(tmp_path / "1" / "checkpoints" / "best.ckpt", weights_only=True)
    assert all(name.startswith(("network.", "class_loss")) for name in checkpoint["state_dict"])
    assert all(isinstance(position, int) for position in checkpoint["synthetic"]["hard"][0]["hardest"])


@pytest.fixture
def task_of(folder, tmp_path, monkeypatch):
    """What ``train`` would train, for a configuration."""
    kept = []
    monkeypatch.setattr("tessella.runs.training.fit", lambda task, *_, **__: kept.append(task))

    def build(**changes):
        weights = str(folder / "network" / "checkpoints" / "best.ckpt")
        config = blocks_config(weights=weights, **changes)
        train(config, "blocks", folder / "data", tmp_path / "run", machine=MACHINE)
        return kept[-1]

    return build


def test_layouts_of_a_source_of_their_own_have_their_share(folder, task_of):
    """Whatever is hard: the rest is replaced."""
    labels = str(folder / "data" / "val" / "labels")
    task = task_of(synthetic=Synthetic(str(folder / "generator"), hard=2, masks_data=labels))
    further = [task.extra.kept(position) for position in range(2000)]
    assert 0.2 < np.mean(further) < 0.3
    stream = BlendedStream([False] * 2000, [True] * 2000, 0.25, task.seed + 1_000_000)
    assert [stream[position] for position in range(2000)] == further


def test_a_network_with_frozen_stages_is_cut(folder, task_of):
    """Also where images never change, and what frozen stages make of them could be kept on disk."""
    task = task_of(crop=None, jitter=0.0, frozen_stages=1, synthetic=Synthetic(str(folder / "generator")))
    logits, _ = task.extra.decode(torch.zeros(1, 48, 64, dtype=torch.long))
    assert logits.shape[2:] == (48, 64)


def test_only_features_are_smoothed(folder, task_of):
    """The control sees real images twice, so it has one loss for them."""
    features = task_of(
        label_smoothing=0.2, synthetic=Synthetic(str(folder / "generator"), label_smoothing=0.1)
    )
    assert (features.loss.label_smoothing, features.extra_loss.label_smoothing) == (0.2, 0.1)
    control = task_of(label_smoothing=0.2, synthetic=Synthetic(label_smoothing=0.1))
    assert (control.loss.label_smoothing, control.extra_loss.label_smoothing) == (0.2, 0.2)


def test_statistics_are_kept_where_there_are_features(folder, task_of):
    generator = str(folder / "generator")
    assert task_of(synthetic=Synthetic(generator)).keep_statistics
    assert not task_of(synthetic=Synthetic(generator, keep_statistics=False)).keep_statistics
    assert task_of(
        synthetic=Synthetic(generator, keep_statistics=False), keep_statistics=True
    ).keep_statistics
    assert not task_of(synthetic=Synthetic()).keep_statistics
    assert not task_of().keep_statistics


def test_layouts_alone_are_pasted(folder):
    """Beside the same images: their own layouts, and these with segments of others over them."""
    data = SplitFolders(folder / "data", "train")

    def unchanged(sample, rng):
        return sample

    def batches(**changes):
        main = training_loader(data, unchanged, 4, seed=0)
        beside = Synthetic("", **changes).beside(main, data, unchanged, 4, seed=0)
        return next(iter(beside))

    plain, pasted = batches(), batches(copy_paste=1.0)
    assert torch.equal(plain["labels"], pasted["labels"])
    assert not torch.equal(plain["extra_labels"], pasted["extra_labels"])


def test_layouts_need_a_generator_or_images(folder, task_of):
    labels = str(folder / "data" / "val" / "labels")
    with pytest.raises(
        InputError, match=r"masks_data .*: label maps alone need --synthetic.generator.*masks"
    ):
        task_of(synthetic=Synthetic(masks_data=labels, masks_share=1.0))
    for generator in ("", str(folder / "generator")):
        with pytest.raises(
            InputError, match=r"synthetic\.masks names a data set: give --synthetic\.masks_data"
        ):
            task_of(synthetic=Synthetic(generator, masks=SplitFolders))
    task_of(synthetic=Synthetic(masks=SplitFolders, masks_data=str(folder / "data")))


def test_images_that_others_made(folder, tmp_path, monkeypatch):
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
    train(config, "blocks", folder / "data", tmp_path / "run", machine=MACHINE)
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


def test_halves_of_your_own(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_cuts.py").write_text(
        "from tessella.feature_synthesis import Split, split\n"
        "def halves(network):\n"
        "    found = split(network, 'backbone.layer2')\n"
        "    return Split(lambda images: found.encode(images) / 2, lambda f, size: found.decode_all(2 * f, size))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data, network, run = str(folder / "data"), folder / "network", str(tmp_path / "run")
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
        train(config, "blocks", folder / "data", tmp_path / "more", machine=MACHINE)
    trusted = ("tessella", "my_cuts")
    assert (
        train(config, "blocks", folder / "data", tmp_path / "more", machine=MACHINE, trusted=trusted).step
        == 1
    )
    model = load_model(str(network))
    with pytest.raises(InputError, match="--trust my_cuts"):
        defended(model, model.network, ["synfeat"], run)
    assert defended(model, model.network, ["synfeat"], run, trusted=trusted)(images).shape == (1, 4, 48, 64)


def test_hard_mining_goes_on_exactly(folder, tmp_path):
    changes = {
        "weights": str(folder / "network" / "checkpoints" / "best.ckpt"),
        "synthetic": Synthetic(str(folder / "generator"), hard=2, filter=1.25),
        "validate_every": 3,
    }
    data = folder / "data"
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
def test_features_are_as_large_as_the_networks(folder, tmp_path, changes):
    """Also where the generator's own blocks would make them of another size."""
    config = replace(SMALL, network=str(folder / "network"), steps=1, validate_every=1, **changes)
    train_generator(config, "features", folder / "data", tmp_path / "run", machine=MACHINE)
    trained = load_generator(str(tmp_path / "run"))
    labels = torch.zeros(2, 48, 64, dtype=torch.long)
    made = trained.make(labels, torch.randn(2, 8))
    assert made.shape == trained.halves.encode(torch.zeros(2, 3, 48, 64)).shape


def test_rivals_change_what_is_learned(folder, tmp_path):
    losses = set()
    for number, changes in enumerate(({}, {"isda": 1.0}, {"copy_paste": 0.5})):
        run = tmp_path / str(number)
        config = blocks_config(steps=3, validate_every=3, **changes)
        assert train(config, "blocks", folder / "data", run, machine=MACHINE).step == 3
        with (run / "log.csv").open(newline="") as file:
            losses.add(list(csv.DictReader(file))[-1]["val_loss"])
    assert len(losses) == 3


def test_defence_with_a_generator(folder):
    model = load_model(str(folder / "network"))
    dataset = SplitFolders(folder / "data", "test")
    images = torch.from_numpy(np.stack([sample.image.transpose(2, 0, 1) for sample in dataset]))
    answers = {}
    with torch.inference_mode():
        plain = model(images)
        for strength in ("0", "0.75", "1"):
            for secret in (b"a", b"b"):
                protected = defended(
                    model, model.network, [f"synfeat={strength}"], str(folder / "generator"), secret
                )
                answers[strength, secret] = protected(images)
                torch.testing.assert_close(protected(images), answers[strength, secret])  # asked again
    torch.testing.assert_close(answers["0", b"a"].argmax(1), plain.argmax(1))
    assert answers["1", b"a"].shape == plain.shape
    torch.testing.assert_close(answers["0.75", b"a"].sum(1), torch.ones(6, 48, 64))
    assert not torch.equal(answers["1", b"a"], answers["1", b"b"])
    assert (answers["1", b"a"].argmax(1) == plain.argmax(1)).float().mean() > 0.5


def test_two_generators_on_one_layout(folder, tmp_path, monkeypatch, capsys):
    """The script that draws figure 6.4, with another generator that knows nothing yet."""
    script = Path(__file__).parents[2] / "benchmarks" / "generator_figure.py"
    config = replace(SMALL, network=str(folder / "network"), steps=1, validate_every=1)
    train_generator(config, "features", folder / "data", tmp_path / "untrained", machine=MACHINE)
    generators = [load_generator(str(run)) for run in (tmp_path / "untrained", folder / "generator")]
    of_script = runpy.run_path(str(script))
    labels = SplitFolders(folder / "data", "test")[0].labels
    ((layout, first, second, right),), shares = of_script["compared"](*generators, [Layout("a", labels)])
    palette = palette_of(generators[0].classes)
    assert np.array_equal(layout, colorize(labels, palette))
    known = labels != 255
    hits = [(picture == colorize(labels, palette)).all(-1)[known] for picture in (first, second)]
    for share, where, colour in (
        ("both", hits[0] & hits[1], WHITE),
        ("first alone", hits[0] & ~hits[1], RED),
        ("second alone", hits[1] & ~hits[0], CYAN),
        ("neither", ~hits[0] & ~hits[1], BLACK),
    ):
        assert shares[share] == pytest.approx(where.mean())
        assert np.array_equal((right[known] == colour).all(-1), where)
    assert shares["second alone"] > shares["first alone"]

    runs = [str(tmp_path / "untrained"), str(folder / "generator"), f"{folder / 'data'}:test"]
    monkeypatch.setattr(
        "sys.argv", [str(script), *runs, "--rows", "2", "--out", str(tmp_path / "figure.png")]
    )
    runpy.run_path(str(script), run_name="__main__")
    assert "second alone" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "figure.png")).shape[0] > 2 * 160


def test_a_generator_behind_a_server_and_in_an_audit(folder, tmp_path):
    pytest.importorskip("uvicorn", reason="the packages of tessella[serving] are not installed")
    from tests.serving.conftest import running

    from tessella.runs.serving import served
    from tessella.serving.access import Access
    from tessella.serving.client import RemoteModel

    network, generator = folder / "network", str(folder / "generator")
    model = load_model(str(network))
    dataset = SplitFolders(folder / "data", "test")
    images = torch.from_numpy(np.stack([sample.image.transpose(2, 0, 1) for sample in dataset]))
    answers = {}
    for secret in (b"a" * 32, b"b" * 32):
        what = served(
            model,
            torch.device("cpu"),
            name="blocks",
            defences=["synfeat=0.75"],
            generator=generator,
            secret=secret,
            posteriors=True,
            compare=False,
        )
        with closing(Access(tmp_path / secret.hex() / "a.sqlite")) as access, running(access, what) as url:
            remote = RemoteModel(url)
            answers[secret] = remote(images)
            torch.testing.assert_close(remote(images), answers[secret], atol=1e-5, rtol=0)  # asked again
    with torch.inference_mode():
        plain = model(images)
    first, other = answers.values()
    assert first.shape == plain.shape
    torch.testing.assert_close(first.sum(1), torch.ones(6, 48, 64))
    assert (first - other).abs().max() > 1e-3
    assert (first - plain).abs().max() > 1e-2
    assert (first.argmax(1) == plain.argmax(1)).float().mean() > 0.6

    data = folder / "data"
    command = ["audit", "run", str(network), "--members", f"{data}:train", "--nonmembers", f"{data}:test"]
    found = {}
    for name, options in (
        ("plain", []),
        ("synfeat", ["--defence", "synfeat=0.75", "--generator", generator]),
    ):
        assert main([*command, *options, "--no-label-only", "--out", str(tmp_path / name)]) == 0
        found[name] = json.loads((tmp_path / name / "audit.json").read_text())
    assert found["synfeat"]["victim"] == f"{network} behind synfeat=0.75"
    accuracy = {name: audit["utility"]["nonmembers"]["pixel_accuracy"] for name, audit in found.items()}
    assert 0.5 < accuracy["synfeat"] <= accuracy["plain"] + 0.05
    assert found["synfeat"]["attacks"]["confidence"] != found["plain"]["attacks"]["confidence"]


def test_generators_of_something_else(folder, tmp_path):
    generator, data = str(folder / "generator"), folder / "data"
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
            replace(SMALL, network=str(folder / "network")), "features", few, tmp_path / "g", machine=MACHINE
        )
    with pytest.raises(InputError, match="holds a segmentation network, not a generator"):
        load_generator(str(folder / "network"))
    with pytest.raises(InputError, match="holds a generator of features"):
        load_model(generator)
    with pytest.raises(InputError, match="give --network RUN"):
        train_generator(SMALL, "features", data, tmp_path / "g", machine=MACHINE)
    with pytest.raises(InputError, match=r"no layer backbone.layer9; the nearest are backbone.layer"):
        train_generator(
            replace(SMALL, network=str(folder / "network"), at="backbone.layer9"),
            "features",
            data,
            tmp_path / "g",
            machine=MACHINE,
        )


def test_layouts_with_and_without_images(folder, tmp_path):
    """On the sheet they have the same columns; scores are compared only where both are of the same layouts."""
    masks, split = str(folder / "data/train/labels"), f"{folder / 'data'}:test"
    sheets = []
    for number, layouts in enumerate(([split, masks], [masks, split], [masks])):
        out = tmp_path / str(number)
        assert main(["sample", str(folder / "generator"), *layouts, "--out", str(out)]) == 0
        assert json.loads((out / "scores.json").read_text())["real"] is None
        sheets.append(cv2.imread(str(out / "sheet.png")))
    assert sheets[0].shape[1] == sheets[1].shape[1] > sheets[2].shape[1]


def test_channels_that_tell_classes_apart_not_ignored_areas():
    labels = np.repeat(np.array([[0, 1, 255, 255]], np.uint8), 4, 0)
    features = torch.rand(6, 4, 4)
    features[2] += 10 * torch.from_numpy(labels == 255)
    features[4] += 3 * torch.from_numpy(labels == 1)
    rows = [_Row(Layout("1", labels), labels, features, None)] * 2
    assert _telling(rows)[0] == 4
    ratio = [
        features[c][:, :1].mean().sub(features[c][:, 1:2].mean()).abs() / features[c].std(correction=0)
        for c in range(6)
    ]
    assert _telling(rows) == torch.tensor(ratio).topk(4).indices.tolist()


def test_a_layout_of_no_class_is_reported(folder, tmp_path):
    cv2.imwrite(str(tmp_path / "void.png"), np.full((48, 64), 255, dtype=np.uint8))
    layout, out = str(tmp_path / "void.png"), tmp_path / "out"
    assert main(["sample", str(folder / "generator"), layout, "--out", str(out)]) == 0
    assert "<td>sampled features</td><td>–</td>" in (out / "samples.html").read_text()


def test_layouts_beside_images_of_other_channels(folder, tmp_path):
    """Those without images have black ones of the data set's own kind."""
    for file in folder.glob("data/train/labels/*.png"):
        cv2.imwrite(str(tmp_path / file.name), cv2.imread(str(file), cv2.IMREAD_UNCHANGED))

    class Deep:
        classes = SplitFolders(folder / "data", "train").classes

        def __getitem__(self, index):
            return Sample("deep", np.zeros((48, 64, 6), dtype=np.uint16))

    further = Synthetic("made", masks_data=str(tmp_path))._further(Deep())
    assert (further[0].image.shape, further[0].image.dtype) == ((48, 64, 6), np.uint16)


def test_bad_words_on_the_command_line(folder, tmp_path, capsys):
    generator, data = str(folder / "generator"), folder / "data"
    bad = tmp_path / "bad.png"
    cv2.imwrite(str(bad), np.full((48, 64), 9, dtype=np.uint8))
    for arguments, message in (
        ((generator, str(bad)), "bad: the layout holds label 9: the generator knows classes 0 to 3"),
        ((generator, str(tmp_path / "none.png")), "does not exist"),
        ((generator, f"{data}:val", "--codes", "0"), "--codes 0"),
        ((str(folder / "network"), str(bad)), "not a generator of features"),
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
    features = ("train", "features", "--data", str(data), "--network", str(folder / "network"))
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
    assert main(["predict", str(folder / "network"), photos, "--out", str(tmp_path), "--sure", "2"]) == 2
    assert "sure 2" in capsys.readouterr().err
    assert main(["audit", "game", "features", "--data", str(data), "--out", str(tmp_path / "game")]) == 2
    assert "features trains no segmentation network" in capsys.readouterr().err


def test_labels_to_train_on(folder, tmp_path):
    images = folder / "data" / "test" / "images"
    arguments = ["predict", str(folder / "network"), str(images), "--out", str(tmp_path)]
    assert main([*arguments, "--sure", "0.7", "--posteriors"]) == 0
    posteriors = np.load(tmp_path / "posteriors" / "0.npz")["posteriors"].astype(np.float32)
    sure = posteriors.max(0) > 0.71
    found = np.array(Image.open(tmp_path / "labels" / "0.png"))
    assert np.array_equal(found[sure], posteriors.argmax(0)[sure])
    assert main([*arguments, "--sure", "1.5"]) == 2
