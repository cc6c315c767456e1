"""Generators of images from training to samples and scores, on tiny pairs of normals and images."""

import csv
import json
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.fabricate import write_pts
from tests.runs.blocks import MACHINE, train_on_blocks, write_blocks

from tessella.cli import main
from tessella.datasets import HelenFaces, PairedFolders
from tessella.datasets.conditions import encode_normals, read_normals
from tessella.datasets.pairs import Pair, own_image, paired
from tessella.errors import InputError
from tessella.image_generation import (
    ConditionEstimator,
    ImageBicycleGAN,
    LateSplit,
    PerceptualDistance,
    Pix2Pix,
    Separate,
    Shared,
    Widths,
)
from tessella.networks import VGG16, VGG19
from tessella.runs.feature_gan import load_generator
from tessella.runs.image_sampling import condition_picture, find_conditions, sample_images
from tessella.runs.image_scores import ImageScores
from tessella.runs.image_training import train_images
from tessella.runs.images import (
    ImageJudge,
    ImageRegression,
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

TINY = Widths(trunk=(8, 8), path=4, last=8)
NORMALS = partial(PairedFolders, condition="normals")
FEW = {"batch_size": 2, "validate_every": 3, "workers": 0, "validation_images": 2}


def write_spheres(root, number=8):
    """Spheres of 32 x 32 pixels in one of three colours each."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    for split, count in (("train", number), ("test", 3)):
        for kind in ("images", "conditions"):
            (root / split / kind).mkdir(parents=True)
        for index in range(count):
            x, y = (columns - random.uniform(12, 20)) / 10, (rows - random.uniform(12, 20)) / 10
            z2 = 1 - x**2 - y**2
            normals = np.stack([x, y, np.sqrt(z2.clip(0))], 2) * (z2 > 0)[:, :, None]
            color = np.eye(3)[random.integers(3)] * 200 + 40
            image = normals[:, :, 2:] * color
            name = f"{index:03d}.png"
            cv2.imwrite(str(root / split / "images" / name), image.astype(np.uint8)[..., ::-1])
            normals_picture = encode_normals(normals.astype(np.float32))
            cv2.imwrite(str(root / split / "conditions" / name), normals_picture[..., ::-1])
    return root


def regression(folder, **changes):
    values = {
        "generator": partial(Shared, branches=4, widths=TINY),
        "perceptual": str(folder / "judge"),
        "neighbours": 2,
        "candidates": 4,
        "quantile": 0.8,
        "warm_up": 1,
        "neighbours_from": 2,
        "steps": 6,
        "learning_rate": 1e-3,
        **FEW,
    }
    return ImageRegression(NORMALS, **{**values, **changes})


def learn(config, folder, name, **options):
    return train_images(config, "spheres", folder / "data", folder / name, machine=MACHINE, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, judges, and generators of each kind."""
    folder = tmp_path_factory.mktemp("images")
    write_spheres(folder / "data")
    learn(ImageJudge(NORMALS, width=2, steps=3, **FEW), folder, "judge")
    learn(ImageJudge(NORMALS, kind="embedding", width=2, steps=3, **FEW), folder, "embedding")
    learn(regression(folder, learning_rate=3e-2), folder, "shared")
    learn(regression(folder, generator=partial(Separate, branches=3, widths=TINY)), folder, "separate")
    learn(ImageTranslation(NORMALS, gan=partial(ImageBicycleGAN, width=2), steps=3, **FEW), folder, "bicycle")
    learn(ImageTranslation(NORMALS, gan=partial(Pix2Pix, width=2), steps=3, **FEW), folder, "pix2pix")
    return folder


def state(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_complete(folder):
    config = json.loads((folder / "shared" / "config.json").read_text())
    assert config["recipe"] == "spheres"
    with (folder / "shared" / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    assert [row["step"] for row in rows] == ["2", "5"]
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert holds_images(str(folder / "shared"))


def test_what_is_loaded_is_what_was_trained(folder):
    trained = load_images(str(folder / "shared"))
    assert trained.condition_channels == 3
    assert isinstance(trained.generator, Shared)
    kept = state(folder / "shared")
    for name, value in trained.generator.state_dict().items():
        assert torch.equal(value, kept[f"model.generator.{name}"]), name
    torch.manual_seed(0)
    fresh = build(regression(folder), 3).generator
    assert torch.equal(fresh.codes, trained.generator.codes)  # training leaves codes as they were drawn
    assert not torch.equal(fresh.head.image.weight, trained.generator.head.image.weight)
    assert not any(p.requires_grad for p in trained.generator.parameters())


def test_weights_are_balanced_by_default_and_what_compares_stays(folder):
    kept = state(folder / "shared")
    assert not torch.equal(kept["model.loss.distance.weights"], torch.tensor(PerceptualDistance.AUTHORS))
    judge = load_judge(str(folder / "judge"))
    for name, value in judge.features.state_dict().items():
        assert torch.equal(value, kept[f"model.loss.distance.features.{name}"]), name


def test_given_weights_are_taken(folder, tmp_path):
    given = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    learn(regression(folder, weights=given, steps=1), folder, tmp_path / "run")
    assert state(tmp_path / "run")["model.loss.distance.weights"].tolist() == list(given)


@pytest.mark.parametrize(("kind", "ema"), [("shared", 0.9), ("bicycle", 0.0)])
def test_interrupted_training_goes_on_exactly(folder, tmp_path, monkeypatch, kind, ema):
    config = {
        "shared": regression(folder, ema=ema, steps=4, validate_every=2),
        "bicycle": ImageTranslation(
            NORMALS, gan=partial(ImageBicycleGAN, width=2), steps=4, ema=ema, **{**FEW, "validate_every": 2}
        ),
    }[kind]
    learn(config, folder, tmp_path / "whole")

    from tessella.training.images import ImageTask

    def broken(self, batch, number):
        if self.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, batch, number)

    step = ImageTask.training_step
    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "training_step", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            learn(config, folder, tmp_path / "parts")
    assert torch.load(tmp_path / "parts" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert learn(config, folder, tmp_path / "parts", resume=True).step == 4
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_the_schedule_of_targets(folder, monkeypatch):
    """Branches take turns, then each image trains its best branch, then neighbours come."""
    seen = []
    model = build(regression(folder, warm_up=2, neighbours_from=4), 3)

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


def test_training_in_bf16(folder, tmp_path):
    machine = Machine(accelerator="cpu", precision="bf16", progress=False)
    config = regression(folder, learning_rate=1e-2, steps=3)
    train_images(config, "spheres", folder / "data", tmp_path / "run", machine=machine)
    torch.manual_seed(0)
    fresh = build(config, 3).generator.state_dict()
    for name, value in load_images(str(tmp_path / "run")).generator.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(value, fresh[name]) == (name == "codes"), name


def test_a_broken_loss_is_said(folder, tmp_path):
    with pytest.raises(InputError, match=r"is (nan|inf) at step \d+: lower learning_rate; no checkpoint"):
        learn(regression(folder, learning_rate=1e20, warm_up=0, steps=20), folder, tmp_path / "run")


def test_one_branch_and_no_neighbours(folder, tmp_path):
    generator = partial(LateSplit, branches=1, widths=TINY)
    assert learn(regression(folder, generator=generator, neighbours=0), folder, tmp_path / "run").step == 6
    assert load_images(str(tmp_path / "run")).generator.branches == 1


def test_codes_of_each_place_from_training_to_samples(folder, tmp_path):
    generator = partial(Shared, branches=4, widths=TINY, element_size=(16, 16))
    learn(regression(folder, generator=generator, steps=3), folder, tmp_path / "run")
    assert (
        sample(tmp_path, "run", tmp_path / "out", "--codes", "6", "--interpolate", data=folder / "data") == 0
    )
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 18


def test_a_generator_learns(folder, tmp_path):
    config = regression(folder, steps=24, warm_up=4, learning_rate=2e-2, val_split="train", validate_every=6)
    learn(config, folder, tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert losses[-1] < 0.8 * losses[0]


def sample(folder, run, out, *options, data="data"):
    return main(["sample", str(folder / run), f"{folder / data}:test", "--out", str(out), *options])


def test_sampling_writes_files_sheet_and_scores(folder, tmp_path, capsys):
    judges = ("--judges", str(folder / "judge"), str(folder / "embedding"))
    assert sample(folder, "shared", tmp_path, "--codes", "6", "--interpolate", *judges) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "images").rglob("*.png"))
    assert written == [f"images/test/{i:03d}/{code:03d}.png" for i in range(3) for code in range(6)]
    picture = cv2.imread(str(tmp_path / written[4]))[..., ::-1]
    trained = load_images(str(folder / "shared"))
    pair = NORMALS(folder / "data", "test")[0]
    codes = trained.generator.draw(6, torch.Generator().manual_seed(0))
    condition = torch.from_numpy(pair.condition.transpose(2, 0, 1))[None]
    image = trained.generator(condition, codes)[0, 4].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(picture, (image * 255).clip(0, 255), atol=0.51)

    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 3 * 128
    strip = cv2.imread(str(tmp_path / "interpolation.png"))
    assert strip.shape[1] > 8 * 100

    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["codes"], scores["branches"], scores["conditions"]) == (6, 4, 3)
    assert set(scores["errors"]) == {"rmse", "ssim", "fsim", "normals"}
    for name, found in scores["errors"].items():
        sign = -1 if name in ("ssim", "fsim") else 1
        first = sign * np.array(found["best of first"])
        assert len(first) == 6
        assert (np.diff(first) <= 1e-6).all()
        assert first[-1] <= sign * found["mean"] + 2e-5
        assert found["best of any"][-1] == pytest.approx(found["best of first"][-1], abs=1e-4)
        assert found["best of any"][0] == pytest.approx(found["mean"], abs=1e-4)
    layers = [scores["means"][name] for name in scores["means"] if name.startswith(("layer", "embedding"))]
    assert len(layers) == 6
    assert scores["diversity"] == pytest.approx(sum(layers), abs=1e-4)
    assert scores["diversity"] > 0
    assert set(scores["distribution"]) == {"fid", "kid", "precision", "recall", "density", "coverage"}
    assert scores["normals of the best"]["mean"] > 0
    said = capsys.readouterr().out
    assert "3 conditions with their own image, 6 samples of each" in said
    assert "FID" in said
    assert f"; in real images {scores['means']['normals of the real image']:.3f}" in said
    assert f"normals of the best: mean {scores['normals of the best']['mean']:.1f}, median" in said
    page = (tmp_path / "samples.html").read_text()
    assert f"<td>{100 * scores['normals of the real images']['within_30']:.1f}</td>" in page


def test_weights_are_read_once(folder, tmp_path, monkeypatch):
    read, load = [], torch.load
    monkeypatch.setattr(
        torch, "load", lambda *given, mmap=False, **more: read.append(mmap) or load(*given, mmap=mmap, **more)
    )
    assert sample(folder, "shared", tmp_path, "--codes", "1", "--limit", "1") == 0
    assert read == [True, False]


def test_samples_follow_the_seed(folder, tmp_path):
    for run in ("shared", "bicycle", "pix2pix"):
        for name, seed in (("a", "1"), ("again", "1"), ("b", "2")):
            assert (
                sample(folder, run, tmp_path / run / name, "--codes", "6", "--seed", seed, "--limit", "1")
                == 0
            )
        a, again, b = (
            [cv2.imread(str(path)) for path in sorted((tmp_path / run / name / "images").rglob("*.png"))]
            for name in ("a", "again", "b")
        )
        assert len(a) == 6
        np.testing.assert_array_equal(a, again)
        assert not np.array_equal(a, b), run
        if run == "shared":
            np.testing.assert_array_equal(a[:4], b[:4])  # training codes


@pytest.mark.parametrize("codes", ["1", "3"])
def test_one_condition_one_image(folder, tmp_path, codes):
    judges = ("--judges", str(folder / "judge"), str(folder / "embedding"))
    assert sample(folder, "separate", tmp_path, "--codes", codes, "--limit", "1", *judges) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert "distribution" not in scores
    assert (scores["diversity"] == 0) == (codes == "1")


def test_dropout_draws_the_same_for_every_condition(folder, tmp_path):
    """So the images of a condition do not depend on what was sampled before it."""
    trained = load_images(str(folder / "pix2pix"))
    first, second, *_ = (NORMALS(folder / "data", "test")[number] for number in range(3))
    found = []
    for name, pairs in (("both", [first, second]), ("one", [second])):
        sample_images(trained, pairs, tmp_path / name, codes=2, judges=(), device=torch.device("cpu"))
        found.append(
            [cv2.imread(str(path)) for path in sorted((tmp_path / name / "images" / second.id).glob("*"))]
        )
    assert len(found[0]) == 2
    np.testing.assert_array_equal(*found)


def test_how_many_images_at_once_does_not_matter(folder, tmp_path):
    trained = load_images(str(folder / "shared"))
    pairs = [NORMALS(folder / "data", "test")[0]]
    scores = [
        sample_images(
            trained, pairs, tmp_path, codes=7, at_once=at_once, save=False, device=torch.device("cpu")
        )
        for at_once in (1, 32)
    ]
    assert scores[0]["errors"]["rmse"]["best of first"] == pytest.approx(
        scores[1]["errors"]["rmse"]["best of first"], abs=0.05
    )
    assert not (tmp_path / "images").exists()


def test_memory_of_judges_does_not_grow_with_codes(folder):
    """They see a few samples at a time; scores are those of all together."""
    judges = [load_judge(str(folder / name)) for name in ("judge", "embedding")]
    pair, images = NORMALS(folder / "data", "test")[0], torch.randint(0, 256, (11, 3, 32, 32)).byte()
    seen = []
    for judge in judges:
        judge.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
        judge.features.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    results = []
    for at_once in (4, 11):
        seen.clear()
        scores = ImageScores(judges, at_once)
        scores.update(pair, images)
        assert max(seen) == at_once
        results.append(scores.compute())
    parts, whole = results
    for name, found in whole["errors"].items():
        assert parts["errors"][name]["best of first"] == pytest.approx(found["best of first"], abs=2e-4), name
    assert parts["means"] == pytest.approx(whole["means"], abs=2e-4)
    assert parts["normals of the best"] == pytest.approx(whole["normals of the best"], abs=1e-2)


def test_pictures_of_conditions_alone_are_not_kept(folder, tmp_path, monkeypatch):
    trained = load_images(str(folder / "shared"))
    pair = replace(NORMALS(folder / "data", "test")[0], image=None)
    joined, cat = [], torch.cat
    monkeypatch.setattr(torch, "cat", lambda parts, *rest: joined.append(len(parts)) or cat(parts, *rest))
    sample_images(trained, [pair], tmp_path, codes=40, at_once=2, device=torch.device("cpu"))
    assert max(joined) == 4  # those on the sheet
    assert len(list((tmp_path / "images").rglob("*.png"))) == 40


def test_names_sort_as_codes_do(folder, tmp_path):
    trained = load_images(str(folder / "shared"))
    pair = replace(NORMALS(folder / "data", "test")[0], image=None)
    sample_images(trained, [pair], tmp_path, codes=1001, at_once=200, device=torch.device("cpu"))
    names = sorted(path.stem for path in (tmp_path / "images").rglob("*.png"))
    assert [int(name) for name in names] == list(range(1001))


def test_samples_of_more_codes_do_not_stay(folder, tmp_path):
    for codes in (3, 2):
        assert sample(folder, "shared", tmp_path, "--codes", str(codes), "--limit", "1") == 0
    names = sorted(path.name for path in (tmp_path / "images").rglob("*.png"))
    assert names == ["000.png", "001.png"]


def test_two_conditions_of_one_name(folder, tmp_path):
    trained = load_images(str(folder / "shared"))
    pair = NORMALS(folder / "data", "test")[0]
    with pytest.raises(InputError, match="two conditions are named test/000: sample them into separate"):
        sample_images(trained, [pair, pair], tmp_path, codes=1, device=torch.device("cpu"))


def test_an_earlier_interpolation_is_not_shown(folder, tmp_path):
    assert sample(folder, "shared", tmp_path, "--codes", "2", "--limit", "1", "--interpolate") == 0
    assert "From one code to another" in (tmp_path / "samples.html").read_text()
    assert sample(folder, "shared", tmp_path, "--codes", "2", "--limit", "1") == 0
    assert "From one code to another" not in (tmp_path / "samples.html").read_text()


def test_landmark_files_of_helen_count_as_its_reader_does(folder, tmp_path):
    """From the edge of the first pixel, not from 1 as others."""
    image = np.zeros((128, 128, 3), np.uint8)
    (tmp_path / "testset").mkdir()
    cv2.imwrite(str(tmp_path / "testset" / "a.jpg"), image)
    write_pts(tmp_path / "testset" / "a.pts", np.random.default_rng(0).uniform(2, 120, (68, 2)))
    trained = load_images(str(folder / "shared"))
    helen = replace(
        trained, config=replace(trained.config, dataset=partial(HelenFaces, sigma=0.0)), condition_channels=68
    )
    (alone,) = find_conditions([str(tmp_path / "testset" / "a.pts")], helen)
    (of_split,) = find_conditions([f"{tmp_path}:test"], helen)
    np.testing.assert_array_equal(alone.condition, of_split.condition)


def test_a_condition_that_is_not_finite(folder, monkeypatch):
    trained = load_images(str(folder / "shared"))
    broken = replace(NORMALS(folder / "data", "test")[0], condition=np.full((32, 32, 3), np.nan, np.float32))
    monkeypatch.setattr(PairedFolders, "__getitem__", lambda self, index: broken)
    with pytest.raises(InputError, match="the condition of test/000 is not finite"):
        list(find_conditions([f"{folder / 'data'}:test"], trained))
    with pytest.raises(InputError, match="limit is -1"):
        list(find_conditions([f"{folder / 'data'}:test"], trained, -1))


def test_conditions_are_read_one_at_a_time(folder, monkeypatch):
    trained = load_images(str(folder / "shared"))
    pairs = find_conditions([f"{folder / 'data'}:test"], trained)
    read = []
    original = PairedFolders.__getitem__
    monkeypatch.setattr(
        PairedFolders, "__getitem__", lambda self, index: read.append(index) or original(self, index)
    )
    next(pairs)
    assert read == [0]


def refused(arguments, capsys, message):
    assert main(arguments) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said


def test_unusable_requests(folder, tmp_path, capsys):
    def sampled(run, *options, conditions=f"{folder / 'data'}:test"):
        return ["sample", str(folder / run), conditions, "--out", str(tmp_path), *options]

    refused(sampled("shared", "--codes", "0"), capsys, "--codes 0: give at least 1")
    refused(sampled("shared", "--limit", "-1"), capsys, "--limit -1: give how many conditions")
    for seed in ("-1", str(2**63)):
        refused(sampled("shared", "--seed", seed), capsys, f"--seed {seed}: give 0 to 2^63 - 1")
    refused(sampled("separate", "--codes", "4"), capsys, "Separate makes 3 images of a condition")
    refused(
        sampled("separate", "--interpolate", "--codes", "2"),
        capsys,
        "interpolation needs a generator with latent",
    )
    refused(sampled("shared", "--interpolate"), capsys, "at least two codes")
    refused(sampled("judge"), capsys, "holds no generator of images but a judge")
    refused(sampled("shared", "--judges", str(folder / "shared")), capsys, "holds no judge of images")
    judge = str(folder / "judge")
    refused(
        sampled("shared", "--judges", judge, judge), capsys, "two of them are for maps; give one of each kind"
    )
    refused(
        sampled("shared", conditions=str(folder / "data")), capsys, "or a split of the data set as PATH:SPLIT"
    )
    refused(sampled("shared", conditions=f"{folder / 'data'}:val"), capsys, "val/images: no such folder")
    refused(sampled("nowhere"), capsys, "no checkpoint at")


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


def test_conditions_of_another_kind(folder, tmp_path):
    trained = load_images(str(folder / "shared"))
    edges = replace(
        trained, config=replace(trained.config, dataset=partial(PairedFolders, condition="edges"))
    )
    with pytest.raises(InputError, match="test/000 has 1 channels, the generator takes 3"):
        list(find_conditions([f"{folder / 'data'}:test"], edges))
    with pytest.raises(InputError, match="condition 'depth': is not known; choose one of"):
        learn(
            replace(regression(folder), dataset=partial(PairedFolders, condition="depth")), folder, tmp_path
        )


def test_unusable_training(folder, tmp_path):
    def refuse(message, **changes):
        with pytest.raises(InputError, match=message):
            learn(regression(folder, **changes), folder, tmp_path / "run")
        assert not (tmp_path / "run" / "checkpoints").exists()

    refuse("give --perceptual RUN, what images are compared by", perceptual="")
    refuse("neighbours is 4 for 4 branches: each image needs a branch of its own", neighbours=4, candidates=9)
    refuse("neighbours: 2 of 1 candidates", candidates=1)
    refuse("quantile is 2", quantile=2.0)
    for number, warm_up in enumerate((0, 1)):
        with pytest.raises(InputError, match="2 weights for the image and 5 maps"):
            learn(
                regression(folder, weights=(1.0, 1.0), warm_up=warm_up), folder, tmp_path / f"weights{number}"
            )
    with pytest.raises(InputError, match="holds a run already"):
        learn(regression(folder), folder, "shared")
    with pytest.raises(InputError, match="no checkpoint"):
        learn(regression(folder), folder, tmp_path / "none", resume=True)


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
def test_fields_that_nothing_can_be_trained_with(folder, field, value):
    with pytest.raises(InputError, match=f"{field} is {value}: "):
        regression(folder, **{field: value})


def test_an_embedding_has_images_to_tell_apart():
    with pytest.raises(InputError, match=r"^batch_size is 1: an embedding tells the images of a batch apart"):
        ImageJudge(NORMALS, kind="embedding", batch_size=1)


def test_each_validation_image_counts_alike(folder, tmp_path, monkeypatch):
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


def test_generators_and_judges_of_images_are_no_segmentation_networks(folder):
    for name in ("shared", "judge"):
        with pytest.raises(
            InputError, match="holds a generator or a judge of images, not a segmentation network"
        ):
            load_model(str(folder / name))
        with pytest.raises(InputError, match="a generator or a judge of images, not a generator of features"):
            load_generator(str(folder / name))


def test_neighbours_of_a_single_condition(folder, tmp_path):
    write_spheres(tmp_path / "data", 1)
    given = regression(folder, weights=(1.0,) * 6)
    with pytest.raises(InputError, match="neighbours is 2, but none of 1 conditions has one"):
        train_images(given, "spheres", tmp_path / "data", tmp_path / "run", machine=MACHINE)


def test_a_judge_of_landmarks_that_there_are_not(folder, tmp_path):
    config = ImageJudge(NORMALS, kind="landmarks", width=2, steps=1, **FEW)
    with pytest.raises(InputError, match="kind is landmarks, but train/000 has none: give maps or embedding"):
        learn(config, folder, tmp_path / "run")


@pytest.mark.parametrize(("network", "layers"), [(VGG16, 27), (VGG19, 31)])
def test_weights_of_either_vgg_compare_images(folder, tmp_path, network, layers):
    """The file says which of them it is of."""
    with torch.device("meta"):
        deep = network()
    state = {name: torch.full(value.shape, 1e-3) for name, value in deep.state_dict().items()}
    torch.save(state, tmp_path / "vgg.pth")
    found = perceptual_features(regression(folder, perceptual=str(tmp_path / "vgg.pth")))
    assert len(found.layers) == layers
    assert all((value == 1e-3).all() for value in found.layers.state_dict().values())


def test_an_image_without_a_condition(folder, tmp_path):
    data = write_spheres(tmp_path / "data")
    (data / "train" / "conditions" / "003.png").unlink()
    with pytest.raises(InputError, match=r"003\.png"):
        train_images(regression(folder), "spheres", data, tmp_path / "run", machine=MACHINE)


def test_a_damaged_condition_met_in_training(folder, tmp_path):
    """By the process that loads data: its message arrives as one line."""
    data = write_spheres(tmp_path / "data")
    (data / "train" / "conditions" / "003.png").write_bytes(b"no picture")
    config = ImageJudge(NORMALS, width=2, steps=9, **{**FEW, "workers": 1})
    with pytest.raises(InputError, match=r"^\S*003\.png: [^\n]*$"):
        train_images(config, "spheres", data, tmp_path / "run", machine=MACHINE)


@pytest.fixture
def marked(tmp_path):
    """Images of 32 x 32 with three landmarks."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for index in range(3):
            (tmp_path / split / "images").mkdir(parents=True, exist_ok=True)
            image = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / split / "images" / f"{index}.png"), image)
            write_pts(tmp_path / split / "conditions" / f"{index}.pts", random.uniform(2, 28, (3, 2)))
    return tmp_path


LANDMARKS = partial(PairedFolders, condition="landmarks")


def test_landmarks_from_training_to_scores(marked):
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=2, mirror=False, **FEW)
    train_images(config, "marks", marked, marked / "judge", machine=MACHINE)
    judge = load_judge(str(marked / "judge"))
    pair = LANDMARKS(marked, "test")[1]
    images = torch.rand(4, 3, 32, 32) * 255
    scores = ImageScores([judge])
    scores.update(pair, images)
    apart = judge.landmarks(images / 255) * 32 - 0.5 - torch.from_numpy(pair.landmarks)
    wanted = apart.norm(dim=2).sum(1) / 32
    found = scores.compute()["errors"]["landmarks"]
    assert found["mean"] == pytest.approx(wanted.mean().item(), abs=1e-4)
    assert found["best of first"][-1] == pytest.approx(wanted.min().item(), abs=1e-4)


def test_landmarks_that_cannot_be_mirrored(marked):
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=4, **FEW)
    with pytest.raises(InputError, match="3 landmarks: cannot be mirrored"):
        train_images(config, "marks", marked, marked / "judge", machine=MACHINE)


def test_a_landmark_outside_the_image(marked):
    write_pts(marked / "train" / "conditions" / "1.pts", np.array([[3.0, 3], [40, 5], [9, 9]]))
    config = ImageJudge(LANDMARKS, kind="landmarks", width=2, steps=4, mirror=False, **FEW)
    with pytest.raises(InputError, match=r"1\.pts: landmark 1 at \(40.*outside the 32x32 image"):
        train_images(config, "marks", marked, marked / "judge", machine=MACHINE)


def test_a_judge_of_other_maps(folder):
    """Three classes are as many channels as normals."""
    labels = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(0, 3, (32, 32))]
    pair = replace(NORMALS(folder / "data", "test")[0], condition=labels)
    with pytest.raises(InputError, match="one reads normals in an image, test/000 has a condition of labels"):
        ImageScores([load_judge(str(folder / "judge"))]).update(pair, torch.rand(1, 3, 32, 32))


def test_a_judge_of_other_conditions(folder, marked):
    pair = LANDMARKS(marked, "test")[0]
    with pytest.raises(
        InputError, match="one reads 3 maps in an image, test/0 has a condition of 3 landmarks"
    ):
        ImageScores([load_judge(str(folder / "judge"))]).update(pair, torch.rand(1, 3, 32, 32))


def test_normals_are_judged_where_there_are_any(folder):
    judge, pair = load_judge(str(folder / "judge")), NORMALS(folder / "data", "test")[0]
    images = torch.rand(2, 3, 32, 32) * 255
    scores = ImageScores([judge])
    scores.update(pair, images)
    found = judge(images / 255).permute(0, 2, 3, 1).double().numpy()
    there = np.linalg.norm(pair.condition, axis=2) > 0.5
    angles = []
    for normals in found:
        cosine = (normals * pair.condition).sum(2) / np.linalg.norm(normals, axis=2)
        cosine = cosine[there] / np.linalg.norm(pair.condition, axis=2)[there]
        angles.append(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())
    result = scores.compute()
    assert result["errors"]["normals"]["mean"] == pytest.approx(np.mean(angles), abs=1e-2)
    assert result["normals of the best"]["mean"] == pytest.approx(min(angles), abs=1e-2)
    assert result["normals of the real images"]["mean"] == pytest.approx(
        result["means"]["normals of the real image"], abs=1e-3
    )


def test_normals_without_negative_parts_are_normals(folder, tmp_path):
    """A wall that faces the camera, in a file of 8 bits."""
    towards = np.zeros((32, 32, 3), np.float32)
    towards[..., 2] = 1
    cv2.imwrite(str(tmp_path / "wall.png"), encode_normals(towards)[..., ::-1])
    pair = replace(NORMALS(folder / "data", "test")[0], condition=read_normals(tmp_path / "wall.png"))
    assert pair.condition.min() >= 0
    assert (condition_picture(pair) == (128, 128, 255)).all()
    scores = ImageScores([load_judge(str(folder / "judge"))])
    scores.update(pair, torch.rand(2, 3, 32, 32) * 255)
    result = scores.compute()
    assert "labels" not in result["errors"]
    assert result["normals of the best"]["mean"] == pytest.approx(
        result["errors"]["normals"]["best of first"][-1], abs=1e-2
    )


def test_maps_that_are_none_of_these(folder):
    pair = NORMALS(folder / "data", "test")[0]
    soft = replace(pair, condition=np.full((32, 32, 4), 0.25, np.float32))
    with pytest.raises(InputError, match="are judged, not 4 channels of other values"):
        ImageScores([ConditionEstimator(4, width=2)]).update(soft, torch.rand(2, 3, 32, 32) * 255)


def test_a_condition_without_normals(folder):
    pair = NORMALS(folder / "data", "test")[0]
    empty = replace(pair, condition=np.zeros_like(pair.condition))
    with pytest.raises(InputError, match="test/000: its normals are empty; leave it"):
        ImageScores([load_judge(str(folder / "judge"))]).update(empty, torch.rand(2, 3, 32, 32))


def test_label_maps_and_edges_are_judged(folder):
    pair, images = NORMALS(folder / "data", "test")[0], torch.rand(2, 3, 32, 32) * 255
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (32, 32))]
    labels[:5] = 0  # of no class: do not count
    edges = rng.integers(0, 2, (32, 32, 1)).astype(np.float32)
    for name, condition in {"labels": labels, "edges": edges}.items():
        judge = ConditionEstimator(condition.shape[2], width=4).eval()
        scores = ImageScores([judge])
        scores.update(replace(pair, condition=condition), images)
        with torch.no_grad():
            found = judge(images / 255).permute(0, 2, 3, 1).numpy()
        if name == "labels":
            expected = (found.argmax(3) != labels.argmax(2))[:, 5:].mean((1, 2))
        else:
            expected = np.abs(found - edges).mean((1, 2, 3))
        result = scores.compute()
        assert result["errors"][name]["mean"] == pytest.approx(expected.mean(), abs=2e-3)
        assert result["errors"][name]["best of first"][-1] == pytest.approx(expected.min(), abs=2e-3)
        assert result["means"][f"{name} of the real image"] > 0


def test_conditions_are_seen_on_the_sheet():
    labels = np.eye(4, dtype=np.float32)[np.arange(64).reshape(8, 8) % 4]
    picture = condition_picture(paired("1", labels, None))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 4
    mark = np.zeros((32, 32, 68), np.float32)
    mark[10, 20, 5] = 1
    assert (condition_picture(paired("1", mark, None)).any(2)).sum() == 9
    edges = np.zeros((8, 8, 1), np.float32)
    edges[::2] = 1
    np.testing.assert_array_equal(condition_picture(paired("1", edges, None)), np.repeat(edges * 255, 3, 2))
    normals = np.zeros((4, 4, 3), np.float32)
    normals[1, 2] = (-1, 0, 1)
    assert condition_picture(paired("1", normals, None))[1, 2].tolist() == [0, 128, 255]
    assert condition_picture(paired("1", normals, None))[0, 0].tolist() == [128, 128, 128]


def test_conditions_alone(folder, tmp_path, capsys):
    """Of a folder of condition files the same images as of the split that they are from; nothing to score them by."""
    files = folder / "data" / "test" / "conditions"
    assert sample(folder, "shared", tmp_path / "split", "--codes", "3", "--limit", "1") == 0
    run = str(folder / "shared")
    assert (
        main(["sample", run, str(files), "--codes", "3", "--limit", "1", "--out", str(tmp_path / "alone")])
        == 0
    )
    wanted, found = (sorted((tmp_path / name / "images").rglob("*.png")) for name in ("split", "alone"))
    assert len(found) == 3
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(one)), cv2.imread(str(other)))
    scores = json.loads((tmp_path / "alone" / "scores.json").read_text())
    assert scores["conditions"] == 0
    assert scores["errors"] == {}
    assert "No condition has its own image: nothing is scored" in capsys.readouterr().out
    single = next(files.iterdir())
    assert main(["sample", run, str(single), "--codes", "1", "--out", str(tmp_path / "single")]) == 0


def test_a_condition_alone_cannot_train():
    pair = Pair("train/7", np.zeros((4, 4, 3), np.float32), None, np.zeros(3, np.float32))
    with pytest.raises(InputError, match="train/7: has a condition but no image"):
        own_image(pair)
