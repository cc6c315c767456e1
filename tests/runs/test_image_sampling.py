"""Sampled images, their sheet and scores, on tiny pairs of normals and images."""

import json
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.fabricate import write_pts
from tests.runs.spheres import NORMALS, TINY, learn, regression

from tessella.cli import main
from tessella.datasets import HelenFaces, PairedFolders
from tessella.datasets.pairs import paired
from tessella.errors import InputError
from tessella.image_generation import Shared
from tessella.runs.image_sampling import condition_picture, find_conditions, sample_images
from tessella.runs.image_scores import ImageScores
from tessella.runs.images import load_images, load_judge


def sample(folder, run, out, *options, data="data"):
    return main(["sample", str(folder / run), f"{folder / data}:test", "--out", str(out), *options])


def test_sampling_writes_files_sheet_and_scores(spheres, tmp_path, capsys):
    judges = ("--judges", str(spheres / "judge"), str(spheres / "embedding"))
    assert sample(spheres, "shared", tmp_path, "--codes", "6", "--interpolate", *judges) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "images").rglob("*.png"))
    assert written == [f"images/test/{i:03d}/{code:03d}.png" for i in range(3) for code in range(6)]
    picture = cv2.imread(str(tmp_path / written[4]))[..., ::-1]
    trained = load_images(str(spheres / "shared"))
    pair = NORMALS(spheres / "data", "test")[0]
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


def test_weights_are_read_once(spheres, tmp_path, monkeypatch):
    read, load = [], torch.load
    monkeypatch.setattr(
        torch, "load", lambda *given, mmap=False, **more: read.append(mmap) or load(*given, mmap=mmap, **more)
    )
    assert sample(spheres, "shared", tmp_path, "--codes", "1", "--limit", "1") == 0
    assert read == [True, False]


def test_samples_follow_the_seed(spheres, tmp_path):
    for run in ("shared", "bicycle", "pix2pix"):
        for name, seed in (("a", "1"), ("again", "1"), ("b", "2")):
            assert (
                sample(spheres, run, tmp_path / run / name, "--codes", "6", "--seed", seed, "--limit", "1")
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
def test_one_condition_one_image(spheres, tmp_path, codes):
    judges = ("--judges", str(spheres / "judge"), str(spheres / "embedding"))
    assert sample(spheres, "separate", tmp_path, "--codes", codes, "--limit", "1", *judges) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert "distribution" not in scores
    assert (scores["diversity"] == 0) == (codes == "1")


def test_dropout_draws_the_same_for_every_condition(spheres, tmp_path):
    """So the images of a condition do not depend on what was sampled before it."""
    trained = load_images(str(spheres / "pix2pix"))
    first, second, *_ = (NORMALS(spheres / "data", "test")[number] for number in range(3))
    found = []
    for name, pairs in (("both", [first, second]), ("one", [second])):
        sample_images(trained, pairs, tmp_path / name, codes=2, judges=(), device=torch.device("cpu"))
        found.append(
            [cv2.imread(str(path)) for path in sorted((tmp_path / name / "images" / second.id).glob("*"))]
        )
    assert len(found[0]) == 2
    np.testing.assert_array_equal(*found)


def test_how_many_images_at_once_does_not_matter(spheres, tmp_path):
    trained = load_images(str(spheres / "shared"))
    pairs = [NORMALS(spheres / "data", "test")[0]]
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


def test_memory_of_judges_does_not_grow_with_codes(spheres):
    """They see a few samples at a time; scores are those of all together."""
    judges = [load_judge(str(spheres / name)) for name in ("judge", "embedding")]
    pair, images = NORMALS(spheres / "data", "test")[0], torch.randint(0, 256, (11, 3, 32, 32)).byte()
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


def test_pictures_of_conditions_alone_are_not_kept(spheres, tmp_path, monkeypatch):
    trained = load_images(str(spheres / "shared"))
    pair = replace(NORMALS(spheres / "data", "test")[0], image=None)
    joined, cat = [], torch.cat
    monkeypatch.setattr(torch, "cat", lambda parts, *rest: joined.append(len(parts)) or cat(parts, *rest))
    sample_images(trained, [pair], tmp_path, codes=40, at_once=2, device=torch.device("cpu"))
    assert max(joined) == 4  # those on the sheet
    assert len(list((tmp_path / "images").rglob("*.png"))) == 40


def test_names_sort_as_codes_do(spheres, tmp_path):
    trained = load_images(str(spheres / "shared"))
    pair = replace(NORMALS(spheres / "data", "test")[0], image=None)
    sample_images(trained, [pair], tmp_path, codes=1001, at_once=200, device=torch.device("cpu"))
    names = sorted(path.stem for path in (tmp_path / "images").rglob("*.png"))
    assert [int(name) for name in names] == list(range(1001))


def test_samples_of_more_codes_do_not_stay(spheres, tmp_path):
    for codes in (3, 2):
        assert sample(spheres, "shared", tmp_path, "--codes", str(codes), "--limit", "1") == 0
    names = sorted(path.name for path in (tmp_path / "images").rglob("*.png"))
    assert names == ["000.png", "001.png"]


def test_two_conditions_of_one_name(spheres, tmp_path):
    trained = load_images(str(spheres / "shared"))
    pair = NORMALS(spheres / "data", "test")[0]
    with pytest.raises(InputError, match="two conditions are named test/000: sample them into separate"):
        sample_images(trained, [pair, pair], tmp_path, codes=1, device=torch.device("cpu"))


def test_an_earlier_interpolation_is_not_shown(spheres, tmp_path):
    assert sample(spheres, "shared", tmp_path, "--codes", "2", "--limit", "1", "--interpolate") == 0
    assert "From one code to another" in (tmp_path / "samples.html").read_text()
    assert sample(spheres, "shared", tmp_path, "--codes", "2", "--limit", "1") == 0
    assert "From one code to another" not in (tmp_path / "samples.html").read_text()


def test_landmark_files_of_helen_count_as_its_reader_does(spheres, tmp_path):
    """From the edge of the first pixel, not from 1 as others."""
    image = np.zeros((128, 128, 3), np.uint8)
    (tmp_path / "testset").mkdir()
    cv2.imwrite(str(tmp_path / "testset" / "a.jpg"), image)
    write_pts(tmp_path / "testset" / "a.pts", np.random.default_rng(0).uniform(2, 120, (68, 2)))
    trained = load_images(str(spheres / "shared"))
    helen = replace(
        trained, config=replace(trained.config, dataset=partial(HelenFaces, sigma=0.0)), condition_channels=68
    )
    (alone,) = find_conditions([str(tmp_path / "testset" / "a.pts")], helen)
    (of_split,) = find_conditions([f"{tmp_path}:test"], helen)
    np.testing.assert_array_equal(alone.condition, of_split.condition)


def test_a_condition_that_is_not_finite(spheres, monkeypatch):
    trained = load_images(str(spheres / "shared"))
    broken = replace(NORMALS(spheres / "data", "test")[0], condition=np.full((32, 32, 3), np.nan, np.float32))
    monkeypatch.setattr(PairedFolders, "__getitem__", lambda self, index: broken)
    with pytest.raises(InputError, match="the condition of test/000 is not finite"):
        list(find_conditions([f"{spheres / 'data'}:test"], trained))
    with pytest.raises(InputError, match="limit is -1"):
        list(find_conditions([f"{spheres / 'data'}:test"], trained, -1))


def test_conditions_are_read_one_at_a_time(spheres, monkeypatch):
    trained = load_images(str(spheres / "shared"))
    pairs = find_conditions([f"{spheres / 'data'}:test"], trained)
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


def test_unusable_requests(spheres, tmp_path, capsys):
    def sampled(run, *options, conditions=f"{spheres / 'data'}:test"):
        return ["sample", str(spheres / run), conditions, "--out", str(tmp_path), *options]

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
    refused(sampled("shared", "--judges", str(spheres / "shared")), capsys, "holds no judge of images")
    judge = str(spheres / "judge")
    refused(
        sampled("shared", "--judges", judge, judge), capsys, "two of them are for maps; give one of each kind"
    )
    refused(
        sampled("shared", conditions=str(spheres / "data")),
        capsys,
        "or a split of the data set as PATH:SPLIT",
    )
    refused(sampled("shared", conditions=f"{spheres / 'data'}:val"), capsys, "val/images: no such folder")
    refused(sampled("nowhere"), capsys, "no checkpoint at")


def test_conditions_of_another_kind(spheres, tmp_path):
    trained = load_images(str(spheres / "shared"))
    edges = replace(
        trained, config=replace(trained.config, dataset=partial(PairedFolders, condition="edges"))
    )
    with pytest.raises(InputError, match="test/000 has 1 channels, the generator takes 3"):
        list(find_conditions([f"{spheres / 'data'}:test"], edges))
    with pytest.raises(InputError, match="condition 'depth': is not known; choose one of"):
        learn(
            replace(regression(spheres), dataset=partial(PairedFolders, condition="depth")), spheres, tmp_path
        )


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


def test_conditions_alone(spheres, tmp_path, capsys):
    """Of a folder of condition files the same images as of the split that they are from; nothing to score them by."""
    files = spheres / "data" / "test" / "conditions"
    assert sample(spheres, "shared", tmp_path / "split", "--codes", "3", "--limit", "1") == 0
    run = str(spheres / "shared")
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


def test_codes_of_each_place_from_training_to_samples(spheres, tmp_path):
    generator = partial(Shared, branches=4, widths=TINY, element_size=(16, 16))
    learn(regression(spheres, generator=generator, steps=3), spheres, tmp_path / "run")
    assert (
        sample(tmp_path, "run", tmp_path / "out", "--codes", "6", "--interpolate", data=spheres / "data") == 0
    )
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 18
