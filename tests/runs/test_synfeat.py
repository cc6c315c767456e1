"""A generator of features as a defence, on blocks of colour."""

import json
import runpy
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tests.runs.blocks import MACHINE
from tests.runs.generators import SMALL

from tessella.cli import main
from tessella.datasets import SplitFolders
from tessella.pictures import colorize
from tessella.pictures.difference import BLACK, CYAN, RED, WHITE
from tessella.runs.defended import defended
from tessella.runs.evaluation import palette_of
from tessella.runs.feature_gan import load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.model import load_model
from tessella.runs.sampling import Layout


def test_defence_with_a_generator(feature_runs):
    model = load_model(str(feature_runs / "network"))
    dataset = SplitFolders(feature_runs / "data", "test")
    images = torch.from_numpy(np.stack([sample.image.transpose(2, 0, 1) for sample in dataset]))
    answers = {}
    with torch.inference_mode():
        plain = model(images)
        for strength in ("0", "0.75", "1"):
            for secret in (b"a", b"b"):
                protected = defended(
                    model, model.network, [f"synfeat={strength}"], str(feature_runs / "generator"), secret
                )
                answers[strength, secret] = protected(images)
                torch.testing.assert_close(protected(images), answers[strength, secret])  # asked again
    torch.testing.assert_close(answers["0", b"a"].argmax(1), plain.argmax(1))
    assert answers["1", b"a"].shape == plain.shape
    torch.testing.assert_close(answers["0.75", b"a"].sum(1), torch.ones(6, 48, 64))
    assert not torch.equal(answers["1", b"a"], answers["1", b"b"])
    assert (answers["1", b"a"].argmax(1) == plain.argmax(1)).float().mean() > 0.5


def test_two_generators_on_one_layout(feature_runs, tmp_path, monkeypatch, capsys):
    """The script that draws figure 6.4, with another generator that knows nothing yet."""
    script = Path(__file__).parents[2] / "benchmarks" / "generator_figure.py"
    config = replace(SMALL, network=str(feature_runs / "network"), steps=1, validate_every=1)
    train_generator(config, "features", feature_runs / "data", tmp_path / "untrained", machine=MACHINE)
    generators = [load_generator(str(run)) for run in (tmp_path / "untrained", feature_runs / "generator")]
    of_script = runpy.run_path(str(script))
    labels = SplitFolders(feature_runs / "data", "test")[0].labels
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

    runs = [str(tmp_path / "untrained"), str(feature_runs / "generator"), f"{feature_runs / 'data'}:test"]
    monkeypatch.setattr(
        "sys.argv", [str(script), *runs, "--rows", "2", "--out", str(tmp_path / "figure.png")]
    )
    runpy.run_path(str(script), run_name="__main__")
    assert "second alone" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "figure.png")).shape[0] > 2 * 160


def test_a_generator_behind_a_server_and_in_an_audit(feature_runs, tmp_path):
    pytest.importorskip("uvicorn", reason="the packages of tessella[serving] are not installed")
    from tests.serving.conftest import running

    from tessella.runs.serving import served
    from tessella.serving.access import Access
    from tessella.serving.client import RemoteModel

    network, generator = feature_runs / "network", str(feature_runs / "generator")
    model = load_model(str(network))
    dataset = SplitFolders(feature_runs / "data", "test")
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

    data = feature_runs / "data"
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
