"""tessella predict --video, on rendered rooms."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tessella.cli import main
from tessella.datasets import LabelClass
from tessella.errors import InputError
from tessella.inference import VideoReader, VideoWriter
from tessella.networks.normalized import Normalized
from tessella.runs.model import Model
from tessella.runs.prediction import Segmenter
from tessella.runs.video import predict_steady_video
from tessella.runs.video_frames import FrameSequence
from tessella.scenes import render

CLASSES = tuple(LabelClass(name, (i * 20, 90, 200 - i * 20)) for i, name in enumerate("abcdefgh"))


class Doubtful(nn.Module):
    """A little network whose mind wavers from frame to frame."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.convolution = nn.Conv2d(channels, 8, 3, padding=1)
        self.generator = torch.Generator().manual_seed(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = 3 * self.convolution(image)
        return scores + torch.randn(scores.shape, generator=self.generator)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six frames with depth, and of one label map."""
    root = tmp_path_factory.mktemp("room")
    render("room", root, sequences={"train": 1, "test": 0}, frames=6, height=72, width=96)
    (folder,) = (root / "frames" / "train").iterdir()
    return folder


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    """``tessella predict doubtful:3`` and ``doubtful:6``: by channels."""

    def load(source: str, trusted: object) -> Model:
        channels = int(source.removeprefix("doubtful:"))
        return Model(Normalized(Doubtful(channels), [0.5] * channels, [0.2] * channels), CLASSES)

    monkeypatch.setattr("tessella.commands.model.load_model", load)


@pytest.mark.parametrize("channels", [3, 6])
def test_a_folder_of_colour_and_depth(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], channels: int
) -> None:
    options = ["--video", "--views", 2, "--regions", "30,60", "--posteriors", "--device", "cpu"]
    assert run("predict", f"doubtful:{channels}", room, *options, "--out", tmp_path) == 0
    names = [f"{number:05d}" for number in range(6)]
    labels = sorted((tmp_path / "labels" / room.name).iterdir())
    assert [file.name for file in labels] == [f"{name}.png" for name in names]
    with Image.open(labels[0]) as file:
        assert (file.mode, file.size) == ("P", (96, 72))
        written = np.asarray(file)
    with np.load(tmp_path / "posteriors" / room.name / "00000.npz") as file:
        assert file["posteriors"].shape == (8, 72, 96)
        assert (file["posteriors"].argmax(0) == written).mean() > 0.99  # float16 makes ties
    assert len(list(VideoReader(tmp_path / "overlays" / f"{room.name}.mp4"))) == 6

    scores = json.loads((tmp_path / "steady" / room.name / "flicker.json").read_text())
    before, after = scores["single_frames"], scores["steady"]
    assert 0 < after < before / 4
    assert scores["followed_pixels"] > 5 * 72 * 96 / 2
    line = f"{room.name}: flicker {before:.1%} -> {after:.1%} of the pixels that could be followed"
    assert line in capsys.readouterr().out.splitlines()
    sheet = cv2.imread(str(tmp_path / "steady" / room.name / "sheet.jpg"))
    assert sheet.shape[1] == 3 * 320 + 4 * 6


def test_videos_and_folders_of_pictures(room: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with VideoWriter(tmp_path / "drive.mkv", 10) as video:
        for number, file in enumerate(sorted(room.glob("*_color.png"))[:3]):
            shutil.copy(file, tmp_path / "pictures" / f"{9 + number}.png")  # 9, 10, 11
            video.write(cv2.imread(str(file))[..., ::-1])
    inputs = [tmp_path / "drive.mkv", tmp_path / "pictures"]
    out = tmp_path / "out"
    assert run("predict", "doubtful:3", *inputs, "--video", "--views", 1, "--regions", 50, "--out", out) == 0
    assert sorted(file.stem for file in (out / "labels" / "drive").iterdir()) == [
        f"00000{i}" for i in range(3)
    ]
    assert sorted(file.stem for file in (out / "labels" / "pictures").iterdir()) == ["10", "11", "9"]
    assert VideoReader(out / "overlays" / "drive.mp4").frames_per_second == 10
    first, second = (VideoReader(out / "overlays" / f"{name}.mp4") for name in ("drive", "pictures"))
    for a, b in zip(first, second, strict=True):  # in the same order: natural
        assert np.abs(a.image.astype(int) - b.image).mean() < 12


def test_flow_of_the_users(room: Path, tmp_path: Path) -> None:
    """One by which no pixel can be followed: nothing is pooled over frames, and no flicker is measured."""
    (tmp_path / "lost.py").write_text(
        "import numpy as np\nflow = lambda a, b: np.full((*a.shape[:2], 2), 1e4)\n"
    )
    flow = f"{tmp_path}/lost.py:flow"
    assert run("predict", "doubtful:3", room, "--video", "--flow", flow, "--out", tmp_path / "out") == 0
    (file,) = (tmp_path / "out").glob("steady/*/flicker.json")
    assert json.loads(file.read_text())["followed_pixels"] == 0


def test_without_the_option_frames_are_pictures(room: Path, tmp_path: Path) -> None:
    assert run("predict", "doubtful:3", room / "00000_color.png", "--out", tmp_path) == 0
    assert (tmp_path / "labels" / "00000_color.png").exists()
    assert not (tmp_path / "steady").exists()


def test_one_frame(room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(room / "00000_color.png", tmp_path / "one")
    assert run("predict", "doubtful:3", tmp_path / "one", "--video", "--out", tmp_path / "out") == 0
    assert "one: no pixel could be followed" in capsys.readouterr().out
    scores = json.loads((tmp_path / "out" / "steady" / "one" / "flicker.json").read_text())
    assert scores == {"single_frames": None, "steady": None, "followed_pixels": 0}


def test_bad_inputs_are_one_line(room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def line(model: str, *inputs: object) -> str:
        assert run("predict", model, *inputs, "--video", "--out", tmp_path / "out") == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tessella:")]
        return line

    copy = tmp_path / "copy"
    shutil.copytree(room, copy)
    for file in copy.glob("*_depth_filled.png"):
        file.unlink()
    assert f"{copy}: the model takes colour and HHA" in line("doubtful:6", copy)
    shutil.copy(room / "00001_depth_filled.png", copy)
    assert "00000_depth_filled.png: does not exist" in line("doubtful:3", copy)
    assert "00000_color.png: a picture is no video" in line("doubtful:3", room / "00000_color.png")
    (tmp_path / "empty").mkdir()
    assert "no pictures" in line("doubtful:3", tmp_path / "empty")
    assert "2 inputs are named" in line("doubtful:3", room, room)
    assert "--views -1: give" in line("doubtful:3", room, "--views", "-1")
    assert "regions: [0] given" in line("doubtful:3", room, "--regions", "0")
    assert "there is no flow raft" in line("doubtful:3", room, "--flow", "raft")

    broken = tmp_path / "broken"
    shutil.copytree(room, broken)
    cv2.imwrite(str(broken / "00002_color.png"), np.zeros((40, 50, 3), np.uint8))
    assert "00002_depth_filled.png: depth is [72, 96], the image [40, 50]" in line("doubtful:3", broken)
    cv2.imwrite(str(broken / "00002_depth_filled.png"), np.full((40, 50), 9, np.uint8))
    assert "00002_depth_filled.png: uint8 up to 9; store depth as 16 bit" in line("doubtful:3", broken)
    cv2.imwrite(str(broken / "00002_depth_filled.png"), np.full((40, 50), 9999, np.uint16))
    assert "frame 00002 is [40, 50] after [72, 96]" in line("doubtful:3", broken)
    assert not list((tmp_path / "out" / "overlays").glob("*.mp4"))


def test_frames_that_are_too_large(room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessella.runs.video.LARGE_IMAGE_PIXELS", 5000)
    segmenter = Segmenter(Model(Doubtful()), None, torch.device("cpu"))
    with pytest.raises(InputError, match=r"frames of \[72, 96\] are too large"):
        predict_steady_video(segmenter, FrameSequence(room), tmp_path)
