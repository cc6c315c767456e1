"""The command line: it starts fast, teaches, and fails with one line."""

import subprocess
import sys
import time

import pytest

from tessella.cli import _parser, main

COMMANDS = ["audit", "demo", "recipes", "scenes", "data", "train", "evaluate", "predict", "export", "report"]


def seconds(*command: str) -> float:
    """The fastest of five: the machine's noise only ever adds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import_and_help_are_fast() -> None:
    python = seconds("-c", "pass")
    assert seconds("-c", "import tessella") - python < 0.3
    assert seconds("-m", "tessella.cli", "--help") - python < 1.0


def test_import_loads_no_library() -> None:
    code = "import sys, tessella.cli; print([m for m in ('torch', 'numpy', 'cv2', 'lightning') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) >= 4


def test_recipes_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out
    assert "camvid_pspnet" in printed
    assert "73.4" in printed
    assert main(["train", "streets", "--fields"]) == 0
    assert "--network.backbone.width" in capsys.readouterr().out


def test_unknown_option_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", "x", "--speed", "3"])
    assert exit_.value.code == 2
    assert "unknown argument --speed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "x"],
        ["serve", "x"],
        ["audit", "run", "x", "--members", "a:b", "--nonmembers", "a:c", "--out", "o"],
    ],
    ids=lambda command: command[0],
)
def test_only_predict_refines_with_a_crf(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--crf"])
    assert exit_.value.code == 2
    assert "unknown argument --crf" in capsys.readouterr().err


def test_a_shadow_has_no_crf_either(capsys: pytest.CaptureFixture[str]) -> None:
    shadow = ["audit", "shadow", "camvid_game", "x", "--queries", "a:b", "--out", "o"]
    assert main([*shadow, "--crf", "true"]) == 2
    assert "no field crf" in capsys.readouterr().err


def test_a_field_of_a_recipe_is_no_short_form_of_an_option():
    arguments = ["audit", "shadow", "camvid", "net.onnx", "--queries", "photos", "--out", "shadow"]
    arguments += ["--scale", "0.9,1.1"]
    for words in (arguments, ["train", "camvid", "--device", "2"]):
        assert _parser().parse_known_args(words)[1] == words[-2:]


@pytest.mark.parametrize(
    "words",
    [
        ["train", "camvid"],
        ["predict", "run", "images", "--out", "o"],
        ["sample", "run", "conditions", "--out", "o"],
        ["export", "run", "--out", "o"],
    ],
    ids=lambda words: words[0],
)
def test_packages_are_trusted_one_by_one(words: list[str]) -> None:
    options = _parser().parse_known_args([*words, "--trust", "a", "--trust", "b"])[0]
    assert options.trust == ["a", "b"]
