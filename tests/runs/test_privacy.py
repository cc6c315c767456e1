"""Training with differential privacy, as a user types it."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from opacus.accountants import RDPAccountant
from tests.datasets.fabricate import fabricate_camvid
from tests.runs.test_end_to_end import TINY, run
from torch import nn

import tessella.runs.privacy as privacy
from tessella.cli import main
from tessella.errors import InputError
from tessella.recipes.folders import folders
from tessella.runs.model import load_model

PRIVATE = [*TINY, "--class_weights", "none", "--privacy.clip", "0.5"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "camvid"
    fabricate_camvid(root)
    return root


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "private"
    options = ["--no-progress", *PRIVATE, "--privacy.noise", "2", "--privacy.delta", "0.01", "--workers", "1"]
    assert run("train", "camvid", "--data", data, "--out", out, *options) == 0
    return out


def epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    accountant = RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    return accountant.get_epsilon(delta)


def test_run_tells_its_epsilon(trained: Path) -> None:
    spent = json.loads((trained / "privacy.json").read_text())
    assert spent["epsilon"] == pytest.approx(epsilon(2, 2 / 3, 4, 0.01))
    assert spent["delta"] == 0.01
    with (trained / "log.csv").open() as file:
        logged = [float(row["epsilon"]) for row in csv.DictReader(file) if row["epsilon"]]
    assert logged == pytest.approx([epsilon(2, 2 / 3, steps, 0.01) for steps in (2, 4)], rel=1e-5)


def test_checkpoint_is_a_model_like_any_other(trained: Path, tmp_path: Path) -> None:
    network = load_model(str(trained)).network
    assert any(isinstance(module, nn.GroupNorm) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert run("evaluate", trained) == 0
    guarantee = json.loads((trained / "privacy.json").read_text())["guarantee"]
    assert guarantee in (trained / "report.html").read_text()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 48, 3), np.uint8))
    assert run("predict", trained, tmp_path / "a.png", "--out", tmp_path / "out") == 0


def test_resumed_run_counts_all_steps(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["train", "camvid", "--out", out, "--no-progress"]
    assert run(*command, "--data", data, *PRIVATE, "--privacy.noise", "2", "--steps", "2") == 0
    assert run(*command, "--resume", "--steps", "5") == 0
    spent = json.loads((out / "privacy.json").read_text())
    assert spent["delta"] == pytest.approx(1 / 3)
    assert spent["noise, rate, steps"] == [[2.0, pytest.approx(2 / 3), 5]]
    assert spent["epsilon"] == pytest.approx(epsilon(2, 2 / 3, 5, 1 / 3))
    assert f"Differential privacy of the training images: {spent['guarantee']}" in capsys.readouterr().out


def test_clipping_alone_guarantees_nothing_and_says_so(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--no-progress", *PRIVATE, "--privacy.noise", "0"]
    assert run("train", "camvid", "--data", data, "--out", tmp_path / "run", *options) == 0
    assert "none: without noise epsilon is infinite" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "privacy.json").read_text())["epsilon"] is None


def test_starts_from_weights_and_keeps_frozen_stages(trained: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    weights = trained / "checkpoints" / "last.ckpt"
    more = ["--weights", weights, "--frozen_stages", "2", "--ema", "0", "--steps", "1"]
    options = ["--data", data, "--out", out, "--no-progress", *PRIVATE, *more]
    assert run("train", "camvid", *options) == 0
    before, after = (
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (trained, out)
    )
    for layer, same in (("layer1.0.conv1", True), ("layer4.0.conv1", False)):
        name = f"network.network.backbone.{layer}.weight"
        assert torch.equal(before[name], after[name]) == same


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--privacy.noise", "-1"], "noise must be at least 0"),
        (["--privacy.clip", "0"], "clip more than 0"),
        (["--privacy.delta", "1"], "delta between 0 and 1"),
        (["--privacy.delta", "0"], "delta between 0 and 1"),
        (["--class_weights", "balanced"], "give --class_weights none"),
        (["--accumulate", "2"], "give --accumulate 1"),
        (["--clip", "1"], "give --clip 0, and --privacy.clip"),
        (["--views.training", "3"], "choose a recipe without views"),
        (["--devices", "2", "--accelerator", "cpu"], "give --devices 1 --nodes 1"),
        (["--batch_size", "4"], "batch_size 4 of 3 images; give at most 3"),
        (["--privacy.noize", "1"], "did you mean privacy.noise?"),
    ],
)
def test_what_privacy_does_not_allow_gets_one_line(
    options: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run"), "--no-progress"]
    assert main(["train", "camvid", "--data", str(data), *out, *PRIVATE, *options]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("tessella: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_missing_opacus_gets_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(privacy, "find_spec", lambda _: None)
    assert run("train", "camvid", "--data", data, "--out", tmp_path / "run", *PRIVATE) == 2
    assert "pip install tessella[privacy]" in capsys.readouterr().err


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match="6 channels"):
        privacy.Privacy().require(folders(), images=10, channels=6, processes=1)
