"""The layer as torch users treat layers."""

import copy
import io
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tessella.dilation import LearnableDilatedConv2d, learnable_dilated_conv2d
from tessella.errors import InputError

assert_close = torch.testing.assert_close


def layer(**options):
    torch.manual_seed(0)
    return LearnableDilatedConv2d(4, 6, 3, padding=2, **options)


def test_begins_as_the_ordinary_layer():
    learnable, plain = layer(), nn.Conv2d(4, 6, 3, padding=2, dilation=2)
    plain.load_state_dict({k: v for k, v in learnable.state_dict().items() if k != "dilation_factors"})
    image = torch.randn(2, 4, 11, 12)
    assert_close(learnable(image), plain(image))
    assert dict(learnable.named_parameters())["dilation_factors"].shape == (4,)
    assert learnable.factors().tolist() == [2, 2, 2, 2]


def test_learns_a_dilation():
    """A target made with other factors is found from the wrong ones."""
    teacher, student = layer(), layer()
    with torch.no_grad():
        teacher.dilation_factors.copy_(torch.tensor([1.3, 1.6, 2.6, 3.2]))
    student.requires_grad_(False).dilation_factors.requires_grad_()
    smooth = nn.AvgPool2d(5, 1, 2)
    optimizer = torch.optim.Adam(student.parameters(), 0.05)
    for _ in range(150):
        image = smooth(torch.randn(4, 4, 24, 24))
        loss = (student(image) - teacher(image)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert_close(student.factors(), teacher.factors(), atol=0.1, rtol=0)


def test_stays_within_its_range():
    learnable = layer(dilation_range=(1.5, 2.5))
    optimizer = torch.optim.SGD(learnable.parameters(), 1e3)
    for sign in (1, -1):
        for _ in range(5):
            optimizer.zero_grad()
            (sign * learnable(torch.randn(1, 4, 9, 9)).sum()).backward()
            optimizer.step()
        factors = learnable.factors()
        assert ((factors >= 1.5) & (factors <= 2.5)).all()
        with torch.no_grad():
            learnable.weight.normal_()


def test_one_factor_for_all_channels():
    learnable = layer(per_channel=False)
    assert learnable.dilation_factors.shape == (1,)
    learnable(torch.randn(1, 4, 9, 9)).square().sum().backward()
    assert learnable.dilation_factors.grad.shape == (1,)
    assert learnable.factors().shape == (4,)


def test_uniform_start():
    factors = LearnableDilatedConv2d(500, 1, 3, dilation_range=(1, 4), initial="uniform").factors()
    assert 1 <= factors.min() < 1.1
    assert 3.9 < factors.max() <= 4
    assert factors.mean() == pytest.approx(2.5, abs=0.2)


@pytest.mark.parametrize("make", [list, tuple, torch.tensor, lambda f: nn.Parameter(torch.tensor(f).half())])
def test_factors_copied_from_elsewhere(make):
    given = make([1.0, 1.5, 2.0, 4.0])
    learnable = layer(initial=given)
    assert learnable.factors().tolist() == [1, 1.5, 2, 4]
    assert learnable.dilation_factors.dtype == torch.float32
    with torch.no_grad():
        learnable.dilation_factors.fill_(3)
    assert list(given) == [1, 1.5, 2, 4]


def test_takes_what_an_ordinary_layer_takes():
    plain = nn.Conv2d(4, 6, (3, 3), (1, 1), (2, 2), (2, 2), 2, False, "zeros")
    learnable = LearnableDilatedConv2d(4, 6, (3, 3), (1, 1), (2, 2), plain.dilation, 2, False, (1, 9))
    assert learnable.dilation_range == (1, 9)
    assert learnable.bias is None
    learnable.load_state_dict(plain.state_dict())
    image = torch.randn(4, 9, 9)
    assert_close(learnable(image), plain(image))
    assert LearnableDilatedConv2d(4, 6, 3, padding_mode="zeros").padding_mode == "zeros"


def test_loads_the_weights_of_an_ordinary_layer_and_its_own():
    learnable = layer()
    plain = nn.Conv2d(4, 6, 3, padding=2, dilation=2)
    with torch.no_grad():
        learnable.dilation_factors.fill_(3.3)
    learnable.load_state_dict(plain.state_dict())
    assert torch.equal(learnable.weight, plain.weight)
    assert learnable.factors().tolist() == pytest.approx([3.3] * 4)
    file = io.BytesIO()
    torch.save(learnable.state_dict(), file)
    file.seek(0)
    other = layer()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.dilation_factors, learnable.dilation_factors)


def test_factors_stay_exact_in_half_precision():
    learnable = layer()
    with torch.no_grad():
        learnable.dilation_factors.fill_(2.0001)
    for half in (copy.deepcopy(learnable).half(), copy.deepcopy(learnable).bfloat16()):
        assert half.dilation_factors.dtype == torch.float32
        assert torch.equal(half.dilation_factors, learnable.dilation_factors)
        image = torch.randn(1, 4, 9, 9, dtype=half.weight.dtype)
        assert_close(half(image).float(), learnable(image.float()), rtol=0.05, atol=0.05)
    assert learnable.double().dilation_factors.dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dilation": 5}, r"dilation 5 lies outside its range \(1, 4\)"),
        ({"dilation_range": (0.5, 4)}, r"range \(0.5, 4\): give 1 <= lowest <= highest"),
        ({"dilation_range": (4, 2)}, r"range \(4, 2\): give 1 <= lowest <= highest"),
        ({"padding": "same"}, "give the padding in pixels"),
        ({"padding_mode": "reflect"}, "padding_mode 'reflect': outside the image there are zeros"),
        ({"dilation": (2, 3)}, r"dilation \(2, 3\): height and width share one factor"),
        ({"dilation_range": (1, 2, 4)}, r"range \(1, 2, 4\): give the lowest and the highest"),
        ({"dilation_range": (1, math.inf), "initial": "uniform"}, "'uniform' in a finite range"),
        (
            {"initial": "copied"},
            "initial 'copied' .*: give 'constant', 'uniform' in a finite range, a number, or",
        ),
        ({"initial": [2.0, 3.0]}, r"initial factors \[2\]: give a number, or 4"),
        ({"initial": torch.ones(4, 1)}, r"initial factors \[4, 1\]"),
        ({"initial": torch.ones(4), "per_channel": False}, r"initial factors \[4\]: give a number, or 1"),
        ({"initial": torch.tensor([1.0, 2.0, 3.0, 4.5])}, r"dilation 4.5 lies outside its range \(1, 4\)"),
        ({"initial": torch.tensor([1.0, 2.0, 3.0, math.nan])}, "dilation nan lies outside its range"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError, match=message):
        LearnableDilatedConv2d(4, 6, 3, **options)


def test_factors_that_became_nan():
    learnable = layer()
    with torch.no_grad():
        learnable.dilation_factors[1] = float("nan")
    image = torch.randn(1, 4, 9, 9)
    with pytest.raises(InputError, match="became NaN: learn them at a lower rate"):
        learnable(image)
    with pytest.raises(InputError, match="became NaN: learn them at a lower rate"):
        learnable_dilated_conv2d(image, learnable.weight, None, learnable.dilation_factors)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
def test_factors_that_became_nan_in_a_compiled_graph():
    """It cannot look at them: the loss becomes NaN, which stops training."""
    learnable = layer()
    with torch.no_grad():
        learnable.dilation_factors[1] = float("nan")
    compiled = torch.compile(learnable, fullgraph=True, backend="aot_eager")
    assert compiled(torch.randn(1, 4, 9, 9)).isnan().all()


def test_on_the_meta_device():
    learnable = layer(device="meta")
    assert learnable(torch.empty(2, 4, 9, 8, device="meta")).shape == (2, 6, 9, 8)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("how", ["eager", "checkpointed", "compiled"])
def test_a_step_uses_the_fast_operators(how):
    """Not the plain form, which stands in where gradients are differentiated."""
    step, image = layer(initial="uniform"), torch.randn(1, 4, 9, 9, requires_grad=True)
    if how == "checkpointed":
        step = partial(checkpoint, step, use_reentrant=True)
    elif how == "compiled":
        step = torch.compile(step, fullgraph=True, backend="aot_eager")
        step(image)
    with torch.profiler.profile() as profile:
        step(image).sum().backward()
    ran = {event.key for event in profile.key_averages()}
    assert {"tessella::sampled_conv2d", "tessella::sampled_conv2d_backward"} <= ran
    assert "aten::gather" not in ran


def test_says_what_it_is():
    assert repr(layer()) == (
        "LearnableDilatedConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2), dilation=(2, 2), "
        "dilation_range=(1, 4))"
    )


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
def test_compiles_as_one_graph():
    learnable = layer(initial="uniform")
    compiled = torch.compile(learnable, fullgraph=True, backend="aot_eager")
    image = torch.randn(2, 4, 11, 12, requires_grad=True)
    for run in (compiled, learnable):
        run(image).square().sum().backward()
    first = [p.grad / 2 for p in learnable.parameters()]
    learnable.zero_grad()
    learnable(image).square().sum().backward()
    for summed, once in zip(first, learnable.parameters(), strict=True):
        assert_close(summed, once.grad)


def test_operator_is_registered_soundly():
    image, learnable = torch.randn(1, 4, 9, 9, requires_grad=True), layer()
    factors = torch.rand(4, requires_grad=True)
    torch.library.opcheck(
        torch.ops.tessella.sampled_conv2d.default,
        (image, learnable.weight, factors, [0.0, 0.0], [1, 1], [9, 9], 1),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )
