"""Classes of data and model are the same ones, in the same order."""

import json

import pytest
from tests.datasets.fabricate import fabricate_camvid
from tests.runs.test_end_to_end import run
from tests.runs.test_model import save_onnx

from tessella.datasets.camvid import CLASSES
from tessella.errors import InputError
from tessella.runs.label_spaces import require_same_classes


@pytest.mark.parametrize(
    "of_model",
    [["sky", "road", "car"], ["Sky", " ROAD", "car"], ["0", "1", "2"], ["class 0", "class 1", "class 2"]],
)
def test_the_same(of_model):
    require_same_classes("members", ["sky", "road", "car"], of_model)
    require_same_classes("members", of_model, ["sky", "road", "car"])


def test_others():
    with pytest.raises(
        InputError, match="members: class 1 is 'road' where the model's is 'Car'; give data with"
    ):
        require_same_classes("members", ["sky", "road", "car"], ["SKY", "Car", "road"])
    with pytest.raises(InputError, match="x: labels of 2 classes where the model has 3"):
        require_same_classes("x", ["sky", "road"], ["sky", "road", "car"])


def test_a_model_and_a_shadow_of_other_classes_are_refused(tmp_path, capsys):
    data = tmp_path / "camvid"
    fabricate_camvid(data)
    for name, classes in (("same", CLASSES), ("other", CLASSES[::-1])):
        described = {
            "input_shape": [None, 3, None, None],
            "num_classes": 11,
            "classes": classes,
            "mean": [],
            "std": [],
        }
        save_onnx(tmp_path / f"{name}.onnx", "", description=json.dumps(described))
    same, other, out = tmp_path / "same.onnx", tmp_path / "other.onnx", tmp_path / "out"
    sides = (f"{data}:train", f"{data}:test")
    common = ("--members", sides[0], "--nonmembers", sides[1], "--dataset", "CamVid", "--out", out)
    for command, where in (
        (("audit", "run", other, *common), "members"),
        (("audit", "run", same, *common, "--shadow", other, *sides), sides[0]),
        (("audit", "shadow", "camvid_game", other, "--queries", sides[0], "--out", out), sides[0]),
    ):
        assert run(*command) == 2
        said = f"tessella: {where}: class 0 is 'sky' where the model's is 'bicyclist'"
        assert capsys.readouterr().err.startswith(said)
