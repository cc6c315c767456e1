"""Learned layers as ordinary operations: the same numbers, in torch.export and in ONNX."""

import pytest
import torch
from tests.dilation.conftest import SHAPES
from torch import nn

from tessella.dilation import (
    LearnableDilatedConv2d,
    as_plain_convolutions,
    fold_dilation,
    round_dilation,
)
from tessella.errors import InputError

assert_close = torch.testing.assert_close


def learned(
    kernel=(3, 3), stride=(1, 1), padding=(2, 2), groups=1, factors=None, dilation=2, dtype=torch.float64
):
    torch.manual_seed(0)
    layer = LearnableDilatedConv2d(
        8, 8, kernel, stride, padding, dilation, groups, dilation_range=(1, 9), initial="uniform"
    ).to(dtype)
    if factors is not None:
        with torch.no_grad():
            layer.dilation_factors.copy_(torch.tensor(factors))
    return nn.Sequential(layer, nn.ReLU())


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), SHAPES)
def test_folding_changes_nothing(kernel, stride, padding, groups):
    model = learned(kernel, stride, padding, groups)
    image = torch.randn(2, 8, 17, 19, dtype=torch.float64)
    before = model(image)
    folded = fold_dilation(model)
    assert folded is model
    assert not any(isinstance(m, LearnableDilatedConv2d) for m in model.modules())
    assert_close(model(image), before)


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), [s for s in SHAPES if s[0] != (4, 2)])
def test_rounding(kernel, stride, padding, groups):
    factors = [1.2, 1.7, 2.2, 2.9, 3.4, 8.6, 1.0, 2.4]
    model = learned(kernel, stride, padding, groups, factors)
    image = torch.randn(2, 8, 17, 19, dtype=torch.float64)
    with pytest.raises(InputError, match="0: dilation factors are no integers: round_dilation rounds them"):
        as_plain_convolutions(model)
    round_dilation(model)
    assert model[0].factors().tolist() == [1, 2, 2, 3, 3, 9, 1, 2]
    before = model(image)
    assert_close(as_plain_convolutions(model)(image), before)


@pytest.mark.parametrize("fix", [fold_dilation, round_dilation, as_plain_convolutions])
def test_factors_that_are_nan(fix):
    model = nn.Sequential(*learned(), *learned(factors=[2.0, float("nan")] * 4))
    before = model[0].dilation_factors.tolist()
    with pytest.raises(InputError, match=r"^2: dilation factors became NaN: learn them at a lower rate"):
        fix(model)
    assert isinstance(model[0], LearnableDilatedConv2d)
    assert model[0].dilation_factors.tolist() == before


def test_rounding_an_even_kernel():
    """Its taps stand half a factor from the centre: some integers put them between pixels."""
    fits, between = learned((2, 2), factors=[4.0] * 8), learned((2, 2), factors=[3.0] * 8)
    image = torch.randn(1, 8, 9, 9, dtype=torch.float64)
    before = fits(image)
    assert_close(as_plain_convolutions(fits)(image), before)
    with pytest.raises(InputError, match="reads between pixels"):
        as_plain_convolutions(between)


@pytest.mark.parametrize("fix", [fold_dilation, as_plain_convolutions])
def test_what_models_read_of_a_convolution_stays(fix):
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    model = learned((1, 3), (2, 1), (0, 2), 2, factors=[2.0] * 8)
    before = [getattr(model[0], name) for name in names]
    assert [getattr(fix(model)[0], name) for name in names] == before


@pytest.mark.parametrize("fix", [fold_dilation, as_plain_convolutions])
@pytest.mark.parametrize("groups", [1, 2])
def test_one_image_by_itself(fix, groups):
    model = learned(groups=groups, factors=[1.0, 2.0, 3.0, 4.0] * 2)
    image = torch.randn(8, 9, 11, dtype=torch.float64)
    expected = model(image)
    assert expected.ndim == 3
    assert_close(fix(model)(image), expected)


def test_rounding_stays_within_the_range():
    """3.5 is nearest to 4."""
    layer = LearnableDilatedConv2d(3, 2, 3, 1, 2, 2, dilation_range=(1.5, 3.5))
    with torch.no_grad():
        layer.dilation_factors.copy_(torch.tensor([1.5, 2.6, 9.0]))
    assert round_dilation(nn.Sequential(layer))[0].factors().tolist() == [2, 3, 3]
    narrow = LearnableDilatedConv2d(3, 2, 3, 1, 2, 2.5, dilation_range=(2.2, 2.8))
    with pytest.raises(InputError, match=r"^1: no integer lies in its range \(2.2, 2.8\): fold_dilation"):
        round_dilation(nn.Sequential(learned(factors=[1.7] * 8), narrow))


def test_a_shrunk_kernel_crops():
    model = learned(padding=(0, 0), factors=[1.0] * 8, dilation=3)
    image = torch.randn(1, 8, 9, 9, dtype=torch.float64)
    before = model(image)
    assert_close(as_plain_convolutions(model)(image), before)


@pytest.mark.parametrize("form", ["kept", "folded", "rounded"])
def test_torch_export(form):
    model = learned(dtype=torch.float32).eval()
    if form == "folded":
        fold_dilation(model)
    elif form == "rounded":
        as_plain_convolutions(round_dilation(model))
    dynamic = {
        0: torch.export.Dim("batch"),
        2: torch.export.Dim("height", min=9),
        3: torch.export.Dim("width", min=9),
    }
    program = torch.export.export(model, (torch.randn(2, 8, 17, 19),), dynamic_shapes=(dynamic,))
    image = torch.randn(3, 8, 23, 16)
    assert_close(program.module()(image), model(image), rtol=1e-4, atol=1e-5)
    assert not any("tessella" in str(node.target) for node in program.graph.nodes)


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec:FutureWarning")  # torch's own
@pytest.mark.parametrize("form", ["folded", "rounded"])
def test_onnx(form, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = learned(stride=(2, 1), dtype=torch.float32).eval()
    fold_dilation(model) if form == "folded" else as_plain_convolutions(round_dilation(model))
    image = torch.randn(2, 8, 17, 19)
    torch.onnx.export(model, (image,), tmp_path / "model.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (output,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert_close(torch.from_numpy(output), model(image), rtol=1e-4, atol=1e-5)
