"""The commands a user types, on a tiny fabricated data set in CamVid's layout."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tests.datasets.fabricate import fabricate_camvid

from tessella.cli import main

TINY = [
    *("--network.backbone.width", "8", "--network.pyramid_channels", "8", "--network.decoder_channels", "8"),
    *("--crop", "32x48", "--batch_size", "2", "--steps", "4", "--validate_every", "2", "--workers", "0"),
]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "camvid"
    fabricate_camvid(root)
    return root


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "camvid"
    assert run("train", "camvid", "--data", data, "--out", out, "--no-progress", *TINY) == 0
    return out


def test_run_folder_holds_what_the_architecture_promises(trained: Path, data: Path) -> None:
    config = json.loads((trained / "config.json").read_text())
    assert config["recipe"] == "camvid"
    assert config["config"]["with"]["steps"] == 4
    assert config["config"]["with"]["network"]["with"]["backbone"]["with"]["width"] == 8
    environment = json.loads((trained / "environment.json").read_text())
    assert {"date", "commit", "versions", "device", "seed", "precision", "command"} <= set(environment)
    assert (trained / "log.csv").read_text().startswith("step,")
    assert sorted(path.name for path in (trained / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_evaluate_writes_table_and_report(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", trained, "--split", "test") == 0
    assert "mean iou" in capsys.readouterr().out
    result = json.loads((trained / "evaluation" / "test" / "result.json").read_text())
    with np.load(trained / "evaluation" / "test" / "per_image.npz") as per_image:
        assert np.array_equal(per_image["confusion"].sum(0), np.array(result["confusion"]))
        assert len(per_image["ids"]) == result["num_images"]
    correct = sum(result["confusion"][i][i] for i in range(11))
    total = sum(map(sum, result["confusion"]))
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(correct / total, abs=1e-5)
    assert "<html" in (trained / "report.html").read_text()


def test_evaluate_again_gives_the_same_numbers(trained: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run("evaluate", trained / "checkpoints" / "last.ckpt", "--out", tmp_path / name) == 0
    a, b = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("a", "b"))
    assert a["confusion"] == b["confusion"]


@pytest.mark.parametrize(
    ("of", "options", "named"),
    [
        ("checkpoints/last.ckpt", [], "last.ckpt"),
        ("", ["--dataset", "CamVid", "--data", "{data}", "--split", "test"], "--dataset"),
        ("", ["--views", "1"], "--views"),
        ("", ["--scales", "0.5,1", "--window", "32x32"], "--scales, --window"),
        ("checkpoints/best.ckpt", ["--no-flip"], "--flip"),
    ],
)
def test_nothing_replaces_the_results_of_the_run_itself(
    of: str, options: list[str], named: str, trained: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", trained / "checkpoints" / "best.ckpt") == 0
    result = trained / "evaluation" / "test" / "result.json"
    before = result.read_bytes()
    capsys.readouterr()
    assert run("evaluate", trained / of, *(option.format(data=data) for option in options)) == 2
    assert f"evaluate needs --out FOLDER with {named}: " in capsys.readouterr().err
    assert result.read_bytes() == before


def test_a_model_of_others_is_named_by_where_it_is(data: Path, tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text("import torch\ndef network(): return torch.nn.Conv2d(3, 11, 1)\n")
    where = ("--dataset", "CamVid", "--data", data, "--split", "test", "--out", tmp_path / "out")
    assert run("evaluate", f"{code}:network", *where) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["network"] == f"{code}:network"
    assert result["dataset"] == "CamVid"


def test_predict_images_folders_and_video(trained: Path, data: Path, tmp_path: Path) -> None:
    frames = [np.full((40, 64, 3), value, np.uint8) for value in (0, 100, 200)]
    video = cv2.VideoWriter(str(tmp_path / "drive.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 40))
    for frame in frames:
        video.write(frame)
    video.release()
    cv2.imwrite(str(tmp_path / "one.png"), frames[1])
    out = tmp_path / "out"
    inputs = [tmp_path / "one.png", data / "test", tmp_path / "drive.avi"]
    assert run("predict", trained, *inputs, "--out", out, "--posteriors") == 0
    with Image.open(out / "labels" / "one.png") as file:
        assert file.mode == "P"
        label = np.array(file)
    assert label.shape == (40, 64)
    assert label.max() < 11
    with np.load(out / "posteriors" / "one.npz") as file:
        posteriors = file["posteriors"]
    assert posteriors.shape == (11, 40, 64)
    chosen = np.take_along_axis(posteriors, label[None].astype(int), 0)[0]
    assert (chosen >= posteriors.max(0) - 1e-3).all()  # float16 makes ties
    assert len(list((out / "labels" / "drive").iterdir())) == 3
    assert (out / "overlays" / "drive.mp4").stat().st_size > 0
    assert len(list((out / "labels").glob("*.png"))) == 1 + len(list((data / "test").iterdir()))


@pytest.mark.parametrize("out", ["", "results"])
def test_results_below_the_pictures_are_no_pictures(trained: Path, tmp_path: Path, out: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 64, 3), np.uint8))
    (tmp_path / "._a.png").write_bytes(b"of an archive")
    (tmp_path / "folder.png").mkdir()
    for _ in range(2):
        assert run("predict", trained, tmp_path, "--out", tmp_path / out) == 0
        assert [path.name for path in (tmp_path / out / "labels").rglob("*")] == ["a.png"]


def test_pictures_of_one_name_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any is segmented: the second would overwrite what is known of the first."""
    for name in ("a.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 64, 3), np.uint8))
    assert run("predict", trained, tmp_path, "--out", tmp_path / "out") == 2
    assert "2 inputs are named a, as their results would be: rename all but one" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--window", "32x32"], ["--scales", "0.5,1", "--flip"], ["--crf"]])
def test_ways_of_inference(trained: Path, data: Path, tmp_path: Path, options: list[str]) -> None:
    image = next(iter((data / "test").iterdir()))
    assert run("predict", trained, image, "--out", tmp_path, *options) == 0
    assert (tmp_path / "labels" / f"{image.stem}.png").exists()


def test_large_picture_is_segmented_in_windows(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tessella.runs.prediction as prediction
    from tessella.inference import Windows

    monkeypatch.setattr(prediction, "LARGE_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(prediction, "LARGE_IMAGE_WINDOWS", Windows(32, 32))
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((90, 70, 3), np.uint8))
    assert run("predict", trained, tmp_path / "large.png", "--out", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "labels" / "large.png") as file:
        assert file.size == (70, 90)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.pt2", "model.onnx"])
def test_exported_file_is_a_model_like_any_other(
    trained: Path, data: Path, tmp_path: Path, name: str
) -> None:
    assert run("export", trained, "--out", tmp_path / name, "--height", "64", "--width", "96") == 0
    options = ["--split", "test", "--dataset", "camvid", "--data", data]
    assert run("evaluate", tmp_path / name, *options, "--out", tmp_path / "exported") == 0
    options = ["--split", "test", "--scales", "1", "--out", tmp_path / "own"]
    assert run("evaluate", trained, *options, "--no-flip") == 0
    own, exported = (
        json.loads((tmp_path / folder / "result.json").read_text()) for folder in ("own", "exported")
    )
    assert own["metrics"]["mean_iou"] == pytest.approx(exported["metrics"]["mean_iou"], abs=1e-3)


@pytest.mark.parametrize("model", ["model.pt2", "model.onnx", "http://127.0.0.1:1"])
def test_what_is_exported_already_is_not_exported_again(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", model, "--out", tmp_path / "again.pt2") == 2
    assert f"{model}: export takes a run's folder, a checkpoint or" in capsys.readouterr().err


def test_export_of_a_class_that_the_user_trusts(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    network = checkpoint["tessella"]["config"]["with"]["network"]
    module, _, name = network["call"].partition(":")
    (tmp_path / "their_networks.py").write_text(f"from {module} import {name}\nclass Theirs({name}): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    network["call"] = "their_networks:Theirs"
    torch.save(checkpoint, tmp_path / "x.ckpt")
    written: list[str] = []
    monkeypatch.setattr(
        "tessella.commands.export.export",
        lambda network, path, **_: written.append(type(network.network).__name__),
    )
    command = ("export", tmp_path / "x.ckpt", "--out", tmp_path / "x.pt2")
    assert run(*command) == 2
    assert "--trust their_networks" in capsys.readouterr().err
    assert run(*command, "--trust", "their_networks") == 0
    assert written == ["Theirs"]


def test_compare_two_runs(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert run("train", "camvid", "--data", data, "--out", other, "--no-progress", *TINY, "--seed", "1") == 0
    for folder in (trained, other):
        assert run("evaluate", folder) == 0
    assert run("report", trained, other, "--out", tmp_path / "comparison.html") == 0
    assert "other" in capsys.readouterr().out
    assert "<html" in (tmp_path / "comparison.html").read_text()


def test_fine_tuning_from_a_run(trained: Path, data: Path, tmp_path: Path) -> None:
    weights = trained / "checkpoints" / "best.ckpt"
    out = tmp_path / "tuned"
    arguments = ["--weights", weights, "--learning_rate", "0", "--ema", "0"]
    assert run("train", "camvid", "--data", data, "--out", out, "--no-progress", *TINY, *arguments) == 0
    before, after = (
        torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for path in (trained, out)
    )
    name = "network.network.backbone.layer1.0.conv1.weight"
    assert torch.equal(before[name], after[name])


@pytest.mark.parametrize(
    "content",
    ["null", "[1]", '{"a": 1}', '{"data": "x", "config": 3}', '{"data": 2, "config": {}}', '{"data":'],
)
def test_a_config_of_something_else(
    content: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree(trained, run_folder)
    (run_folder / "config.json").write_text(content)
    for command in (["train", "camvid", "--resume", "--out"], ["evaluate"]):
        assert main([*command, str(run_folder)]) == 2
        error = capsys.readouterr().err
        assert "config.json" in error
        assert "restore it, or begin anew" in error
        assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "camvd", "--data", "{data}"], "no recipe camvd: did you mean camvid?"),
        (["train", "camvid"], "needs --data FOLDER"),
        (["train", "camvid", "--data", "{data}", "--stepz", "3"], "no field stepz: did you mean steps?"),
        (["train", "camvid", "--data", "{data}", "--steps", "ten"], "steps: 'ten' is not of type int"),
        (["train", "camvid", "--data", "{data}", "--steps"], "--steps needs a value"),
        (["train", "camvid", "--data", "/nowhere"], "/nowhere/train: no such folder"),
        (["train", "camvid", "--data", "{data}", "--out", "{run}"], "holds a run already: add --resume"),
        (["train", "camvid", "--data", "{data}", "--out", "{tmp}/new", "--resume"], "no run to resume"),
        (["evaluate", "/nowhere.ckpt"], "no checkpoint at /nowhere.ckpt"),
        (["evaluate", "nonsense"], "not of the form file.py:callable"),
        (["evaluate", "{run}", "--split", "night"], "night"),
        (["evaluate", "{run}", "--device", "tpu9"], "--device tpu9"),
        (["predict", "{run}", "/nowhere.png", "--out", "{tmp}/o"], "/nowhere.png does not exist"),
        (["predict", "{run}", "{tmp}", "--out", "{tmp}/o"], "holds no image"),
        (["data", "check", "camvidd", "{data}"], "no data set camvidd: choose from"),
        (["report", "{tmp}"], "holds no run"),
    ],
)
def test_bad_input_gets_one_line(
    arguments: list[str],
    message: str,
    trained: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [argument.format(data=data, run=trained, tmp=tmp_path) for argument in arguments]
    assert main(filled) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("tessella: ")
    assert message in error
    assert len(error.splitlines()) == 1


def test_checkpoint_of_another_network(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["tessella"]["config"]["with"]["network"]["with"]["backbone"]["with"]["width"] = 16
    torch.save(checkpoint, tmp_path / "x.ckpt")
    assert run("predict", tmp_path / "x.ckpt", trained, "--out", tmp_path / "o") == 2
    checkpoint["tessella"]["config"]["with"]["network"]["call"] = "os:system"
    torch.save(checkpoint, tmp_path / "x.ckpt")
    capsys.readouterr()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert run("predict", tmp_path / "x.ckpt", tmp_path / "a.png", "--out", tmp_path / "o") == 2
    assert "not part of tessella" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_saves_everything_and_resume_finishes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "tessella.cli",
        "train",
        "camvid",
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    options = [*TINY, "--steps", "400", "--validate_every", "10", "--workers", "2", "--no-progress"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen([*command, *options], env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(600):
        if (out / "checkpoints" / "last.ckpt").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in printed
    step = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["tessella"]["step"]
    assert 10 <= step < 400
    shorter = ["--steps", str(step + 2), "--no-progress", "--resume"]
    again = [word for word in command if word not in ("--data", str(data))]
    subprocess.run([*again, *shorter], env=environment, check=True, timeout=120)
    config = json.loads((out / "config.json").read_text())["config"]["with"]
    assert config["network"]["with"]["backbone"]["with"]["width"] == 8  # as it was begun
    assert torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["tessella"]["step"] == step + 2


def _own_folders(root: Path, classes: str) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for number in range(2):
            labels = rng.integers(0, 2, (40, 56), dtype=np.uint8)
            cv2.imwrite(str(root / split / "labels" / f"{number}.png"), labels)
            cv2.imwrite(str(root / split / "images" / f"{number}.png"), np.dstack([labels * 200] * 3))
    (root / "classes.txt").write_text(classes)
    return root


def test_a_run_keeps_its_precision_and_its_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _own_folders(tmp_path / "data", "ground\nroof\n")
    turned = _own_folders(tmp_path / "turned", "roof\nground\n")
    out = tmp_path / "run"
    train = ("train", "folders", "--out", out, "--no-progress")
    assert run(*train, "--data", data, *TINY, "--precision", "fp32") == 0
    assert run(*train, "--resume", "--steps", "6") == 0
    environment = json.loads((out / "environment.json").read_text())
    assert [environment[name] for name in ("precision", "devices", "accelerator")] == ["fp32", 1, "auto"]
    config = (out / "config.json").read_bytes()
    capsys.readouterr()
    assert run("evaluate", out) == 0
    result = (out / "evaluation" / "val" / "result.json").read_bytes()
    other = "class 0 is 'roof' where the model's is 'ground'"
    for command in (
        ("evaluate", out, "--data", turned),
        (*train, "--data", turned, "--resume", "--steps", "8"),
    ):
        assert run(*command) == 2
        assert other in capsys.readouterr().err
    assert (out / "config.json").read_bytes() == config
    assert (out / "evaluation" / "val" / "result.json").read_bytes() == result


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: _truncate(next((root / "trainannot").iterdir())), r"trainannot/.*\.png"),
        (lambda root: _truncate(next((root / "train").iterdir())), r"train/.*\.png"),
        (lambda root: next((root / "trainannot").iterdir()).unlink(), "has no label map"),
        (
            lambda root: _write_labels(next((root / "trainannot").iterdir()), (5, 5), 0),
            "make both the same size",
        ),
        (lambda root: _write_labels(next((root / "trainannot").iterdir()), None, 77), "77"),
    ],
)
def test_damaged_data_set_stops_training_with_one_line(
    damage, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fabricate_camvid(tmp_path / "camvid")
    damage(tmp_path / "camvid")
    arguments = ["--data", tmp_path / "camvid", "--out", tmp_path / "run", "--no-progress"]
    assert run("train", "camvid", *arguments, *TINY, "--workers", "1", "--class_weights", "none") == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tessella: ")]
    assert len(lines) == 1
    assert re.search(message, lines[0])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _write_labels(path: Path, size: tuple[int, int] | None, value: int) -> None:
    with Image.open(path) as image:
        size = size or image.size
    Image.new("L", size, value).save(path)
