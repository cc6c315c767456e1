"""Models of others: what they give is told by what it is."""

import json

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.fabricate import fabricate_camvid
from tests.runs.test_end_to_end import run

from tessella.errors import InputError
from tessella.networks.exported_network import METADATA
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD
from tessella.runs.model import load_model

IMAGE = torch.randint(0, 256, (1, 3, 24, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

CODE = """
import torch
def network(*last):
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 11, 1)
    torch.nn.init.normal_(convolution.weight, std=3)
    return torch.nn.Sequential(convolution, *last)
def logits(): return network()
def posteriors(): return network(torch.nn.Softmax(1))
def halves(): return network(torch.nn.Softmax(1), torch.nn.AvgPool2d(2))
"""


@pytest.fixture
def code(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    return file


def save_onnx(path, last, *, classes=11, keep_dimension=True, description=""):
    """A convolution of one pixel, and what stands behind it: nothing, Softmax, or ArgMax. Returns its posteriors."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    random = np.random.default_rng(0)
    weights = random.normal(0, 3, (classes, 3, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["image", "weights"], ["logits"])]
    kind, axes = TensorProto.FLOAT, ["b", classes, "h", "w"]
    if last == "Softmax":
        nodes.append(helper.make_node("Softmax", ["logits"], ["answer"], axis=1))
    if last == "ArgMax":
        nodes.append(helper.make_node("ArgMax", ["logits"], ["answer"], axis=1, keepdims=int(keep_dimension)))
        kind, axes = TensorProto.INT64, ["b", *([1] if keep_dimension else []), "h", "w"]
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("answer" if last else "logits", kind, axes)],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if description:
        helper.set_model_props(model, {METADATA: description})
    onnx.save(model, path)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    logits = torch.nn.functional.conv2d((IMAGE / 255 - mean) / deviation, torch.from_numpy(weights))
    return logits.softmax(1)


@pytest.mark.parametrize("last", ["", "Softmax"])
def test_an_onnx_file_with_and_without_a_softmax(tmp_path, last):
    expected = save_onnx(tmp_path / "theirs.onnx", last)
    torch.testing.assert_close(
        load_model(str(tmp_path / "theirs.onnx"))(IMAGE), expected, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("keep_dimension", [True, False])
def test_an_onnx_file_of_label_maps(tmp_path, keep_dimension):
    file = tmp_path / "theirs.onnx"
    labels = save_onnx(file, "ArgMax", keep_dimension=keep_dimension).argmax(1)
    posteriors = load_model(str(file), classes=12)(IMAGE)
    assert posteriors.shape == (1, 12, 24, 32)
    assert torch.equal(posteriors.argmax(1), labels)
    assert torch.equal(posteriors.amax(1), torch.ones(1, 24, 32))
    with pytest.raises(InputError, match=r"theirs.onnx: gives label maps: say how many .* \(--classes\)"):
        load_model(str(file))
    with pytest.raises(InputError, match=r"gives label \d+, and there are 5 classes, from 0 on"):
        load_model(str(file), classes=5)(IMAGE)


def test_a_module_with_and_without_a_softmax(code):
    logits, posteriors, halves = (load_model(f"{code}:{name}") for name in ("logits", "posteriors", "halves"))
    expected = logits(IMAGE)
    assert expected.amax(1).mean() > 0.7
    torch.testing.assert_close(posteriors(IMAGE), expected)
    torch.testing.assert_close(posteriors.log_posteriors(IMAGE), logits.log_posteriors(IMAGE))
    smaller = torch.nn.functional.avg_pool2d(expected, 2)
    resized = torch.nn.functional.interpolate(smaller, (24, 32), mode="bilinear")
    torch.testing.assert_close(halves(IMAGE), resized, atol=1e-6, rtol=1e-4)


def test_the_audit_of_onnx_files(tmp_path, capsys):
    """Posteriors or logits: the same answers. Label maps: no confidence tells anything."""
    data = tmp_path / "camvid"
    fabricate_camvid(data)
    for path in (data / "val").iterdir():  # which has the pictures of train
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    common = (
        "--members",
        f"{data}:train",
        "--nonmembers",
        f"{data}:val",
        "--dataset",
        "CamVid",
        "--no-label-only",
    )
    found = {}
    for name, last, more in (
        ("logits", "", ()),
        ("softmax", "Softmax", ()),
        ("labels", "ArgMax", ("--classes", 11)),
    ):
        save_onnx(tmp_path / f"{name}.onnx", last)
        command = ("audit", "run", tmp_path / f"{name}.onnx", *common, *more)
        assert run(*command, "--out", tmp_path / name) == 0
        found[name] = json.loads((tmp_path / name / "audit.json").read_text())
    assert found["logits"]["confidences"] == found["softmax"]["confidences"]
    assert found["logits"]["utility"] == found["softmax"]["utility"] == found["labels"]["utility"]
    assert found["labels"]["confidences"]["members"][-1] == found["labels"]["images"]["members"]
    capsys.readouterr()
    assert run("audit", "run", tmp_path / "labels.onnx", *common, "--out", tmp_path / "no") == 2
    assert "gives label maps: say how many classes" in capsys.readouterr().err
