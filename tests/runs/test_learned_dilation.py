"""Training a network with learned dilation, from configuration to report."""

import json
import runpy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from tests.datasets.fabricate import fabricate_camvid

from tessella.cli import main
from tessella.datasets import CamVid
from tessella.dilation import LearnableDilation, dilation_parameters
from tessella.errors import InputError
from tessella.networks import PSPNet, ResNet
from tessella.recipes.dilation import cityscapes_largefov_dilation
from tessella.reports import write_report
from tessella.runs.configuration import fields, override, parse
from tessella.runs.model import load_model
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.machine import Machine

CONV5, FC6 = tuple(f"backbone.features.{i}" for i in (24, 26, 28)), "backbone.classifier.0"

MACHINE = Machine(accelerator="cpu", precision="fp32", progress=False)


NETWORK = partial(PSPNet, backbone=partial(ResNet, depth=18, width=4), pyramid_channels=4, head_channels=8)


def config(**changes):
    return Segmentation(
        network=partial(LearnableDilation, network=NETWORK, ranges=((2, 1, 4), (4, 1, 8))),
        dataset=partial(CamVid),
        **{
            "val_split": "val", "crop": (33, 40), "steps": 4, "batch_size": 2, "validate_every": 2,
            "optimizer": "adamw", "learning_rate": 1e-3, "workers": 0, "dilation_learning_rate": 0.1,
        } | changes,
    )  # fmt: skip


@pytest.fixture
def camvid(tmp_path):
    fabricate_camvid(tmp_path / "camvid")
    return tmp_path / "camvid"


def factors(run):
    return json.loads((run / "dilation.json").read_text())


def test_factors_are_learned_logged_and_shown(camvid, tmp_path):
    run = tmp_path / "run"
    train(config(), "mine", camvid, run, machine=MACHINE)
    log = factors(run)
    assert log["steps"] == [0, 2, 4]
    assert all(len(layer["factors"]) == 3 for layer in log["layers"])
    assert any(layer["factors"][0] != layer["factors"][-1] for layer in log["layers"])
    names = [layer["name"] for layer in log["layers"]]
    assert names[0].startswith("backbone.layer3")
    learned = torch.cat(dilation_parameters(load_model(str(run)).network))
    assert learned.unique().numel() > 4
    page = write_report(run).read_text()
    assert "Learned dilation" in page
    assert list((run / "tensorboard").glob("events*"))


@pytest.mark.filterwarnings("default")  # of the exporter
@pytest.mark.parametrize("form", [pytest.param("folded", marks=pytest.mark.slow), "rounded"])
def test_export(form, camvid, tmp_path, capsys):
    of_few = config(steps=1, validate_every=1)
    # torch.export takes seconds for each converted layer, and for reading it back.
    network = partial(NETWORK, backbone=partial(ResNet, depth=10, width=4))
    of_few = replace(
        of_few, network=partial(of_few.network, network=network, within=("backbone.layer4.0.conv2",))
    )
    train(of_few, "mine", camvid, tmp_path / "run", machine=MACHINE)
    out = tmp_path / "model.pt2"
    options = ["--height", "48", "--width", "64", "--dilation", form]
    options += ["--data", str(camvid)] if form == "rounded" else []
    assert main(["export", str(tmp_path / "run"), "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "logits differ from the network's by at most" in printed
    assert ("dilation factors rounded, by" in printed) == (form == "rounded")
    assert ("mean IoU" in printed) == (form == "rounded")
    assert load_model(str(out)).network(torch.rand(1, 3, 48, 64)).shape == (1, 11, 48, 64)


def test_rates_that_adam_cannot_bear_are_refused(camvid, tmp_path):
    """Its steps are as long as the rate: at that of gradient descent all factors are at a bound after one."""
    message = r"dilation_learning_rate 20 with adamw.* at most 0.3, a tenth of the narrowest range"
    with pytest.raises(InputError, match=message):
        train(config(dilation_learning_rate=20.0), "mine", camvid, tmp_path / "run", machine=MACHINE)


def test_the_experiment_on_a_gpu_learns_at_such_a_rate(tmp_path):
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/gpu/camvid_pspnet.py"))
    learned = script["recipe"]("learned", 800, 0)
    assert (learned.optimizer, learned.dilation_learning_rate) == ("adamw", 0.02)
    layers = [{"factors": [[2, 2], [1, 3]]}, {"factors": [[4], [5]]}, {"factors": [[2], [2]]}]
    (tmp_path / "dilation.json").write_text(json.dumps({"steps": [0, 800], "layers": layers}))
    assert script["final_factors"](tmp_path) == {"2": [1, 1.2, 1.5, 2, 2.5, 2.8, 3], "4": [5] * 7}


def test_the_figures_as_documented(tmp_path, monkeypatch):
    """Figures 4.3 and 4.4 from the documentation's commands, on few and small frames."""
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs/dilation.md").read_text()
    commands = [
        line.split()[1:] for line in text.split("### The figures")[1].split("```")[1].strip().splitlines()
    ]
    assert [command[0] for command in commands] == [
        "scenes", "train", "train", "evaluate", "evaluate", "report", "report",
    ]  # fmt: skip
    small = {
        "scenes": "--sequences train=2,val=2 --height 48 --width 64",
        "train": "--steps 1 --validate_every 1 --batch_size 1 --workers 0 --crop 33x40 --precision fp32 "
        "--network.network.backbone.width 4 --no-progress --accelerator cpu",
    }
    for command in commands:
        assert main([*command, *small.get(command[0], "").split()]) == 0
    assert "Learned dilation" in (tmp_path / "learned" / "report.html").read_text()
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("Who is right") >= 1
    initial, final = factors(tmp_path / "learned")["layers"][0]["factors"]
    assert initial != final


def test_at_rate_zero_they_stay(camvid, tmp_path):
    train(config(dilation_learning_rate=0.0), "mine", camvid, tmp_path / "run", machine=MACHINE)
    for layer in factors(tmp_path / "run")["layers"]:
        assert layer["factors"][0] == layer["factors"][-1]


def test_a_resumed_run_logs_what_an_uninterrupted_one_does(camvid, tmp_path):
    train(config(), "mine", camvid, tmp_path / "whole", machine=MACHINE)
    shorter = config(steps=2)
    train(shorter, "mine", camvid, tmp_path / "halves", machine=MACHINE)
    train(config(), "mine", camvid, tmp_path / "halves", machine=MACHINE, resume=True)
    steps = factors(tmp_path / "halves")["steps"]
    assert steps == [0, 2, 4]


RATE_0 = {"dilation_learning_rate": "0"}
ONLY_CONV5, ONLY_FC6 = {"network.ranges": "[[2,1,4]]"}, {"network.ranges": "[[12,4,20]]"}
MEANS = dict(zip(CONV5, (2.35, 2.6, 3.5), strict=True))


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        *((RATE_0 | ONLY_CONV5 | {"network.initial": str(d)}, dict.fromkeys(CONV5, d)) for d in (1, 2, 3, 4)),
        (
            RATE_0 | {"network.initial": json.dumps(list(MEANS.items()))},
            {**MEANS, FC6: 12.0},
        ),
        (ONLY_CONV5, dict.fromkeys(CONV5, 2.0)),
        (ONLY_FC6, {FC6: 12.0}),
        ({"network.initial": "uniform"}, dict.fromkeys((*CONV5, FC6))),
        ({}, {**dict.fromkeys(CONV5, 2.0), FC6: 12.0}),
    ],
)
def test_rows_of_table_4_2(changes, start, camvid, tmp_path):
    """As the documentation gives them on the command line, trained for a step in a narrow network."""
    config = cityscapes_largefov_dilation()
    types = {field.name: field.type for field in fields(config)}
    parsed = {name: parse(name, text, types[name]) for name, text in changes.items()}
    narrow = {"network.network.backbone.width": 4, "network.network.backbone.fc_channels": 8}
    short = {"crop": (129, 129), "steps": 1, "validate_every": 1, "batch_size": 1, "workers": 0}
    config = replace(override(config, parsed | narrow | short), dataset=partial(CamVid))
    train(config, "mine", camvid, tmp_path / "run", machine=MACHINE)
    layers = {layer["name"]: layer for layer in factors(tmp_path / "run")["layers"]}
    assert set(layers) == set(start)
    for name, layer in layers.items():
        low, high = layer["range"]
        before, after = layer["factors"]
        if start[name] is None:
            assert len(set(before)) == len(before)
            assert low <= min(before) < max(before) <= high
        else:
            assert before == pytest.approx([start[name]] * len(before))
        assert (before == after) == (changes.get("dilation_learning_rate") == "0")
