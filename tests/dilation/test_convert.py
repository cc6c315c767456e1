"""Conversion of models of ours, of Hugging Face and of nobody in particular."""

import copy
import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from tessella.dilation import (
    LearnableDilatedConv2d,
    LearnableDilation,
    dilation_parameters,
    make_dilation_learnable,
    parameter_groups,
    plan_conversion,
)
from tessella.errors import InputError
from tessella.networks import DeepLabLargeFOV, DeepLabV2, PSPNet, ResNet


def converted(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, LearnableDilatedConv2d)}


@pytest.mark.parametrize("initial", ["constant", 2.0])
def test_output_is_unchanged(initial):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=2, dilation=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding="same", dilation=2)
    ).double()
    image = torch.randn(2, 3, 17, 19, dtype=torch.float64)
    before = model(image)
    weights = list(model.parameters())
    assert make_dilation_learnable(model, {2: (1, 4)}, initial=initial) is model
    torch.testing.assert_close(model(image), before, rtol=1e-12, atol=1e-12)
    assert {id(p) for p in weights} <= {id(p) for p in model.parameters()}
    assert [p.shape for p in dilation_parameters(model)] == [(3,), (8,)]


def test_layers_of_the_thesis():
    """Section 4.2.3: 23 + 3 layers of a ResNet-101, four of ASPP; conv5 and fc6 of LargeFOV."""
    with torch.device("meta"):
        pspnet = PSPNet(19, backbone=partial(ResNet, depth=101, deep_stem=True))
        deeplab, largefov = DeepLabV2(19), DeepLabLargeFOV(19)
    for model, expected in (
        (pspnet, {2: 23, 4: 3}),
        (deeplab, {2: 23, 4: 3, 6: 1, 12: 1, 18: 1, 24: 1}),
        (largefov, {2: 3, 12: 1}),
    ):
        found = [d.dilation[0] for d in plan_conversion(model) if d.range]
        assert {step: found.count(step) for step in found} == expected


class OwnForward(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * 2


class OwnCall(nn.Conv2d):
    def __call__(self, x):
        return super().__call__(x) * 2


class Scaled(nn.Conv2d):
    """Its output is a convolution's; whoever holds it multiplies by its scale."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.scale = nn.Parameter(torch.ones(()))


class WithMethod(nn.Conv2d):
    def norm_of_weight(self):
        return self.weight.norm()


def with_attribute(name):
    """As accelerate and others do to layers that exist."""
    layer = nn.Conv2d(4, 4, 3, dilation=2)
    setattr(layer, name, partial(layer.forward))
    return layer


REFUSED = {
    "OwnCall computes its output in a way of its own": lambda: OwnCall(4, 4, 3, dilation=2),
    "Conv2d computes its output in a way of its own": lambda: with_attribute("forward"),
    "left alone: Conv2d computes its output": lambda: with_attribute("_compiled_call_impl"),
    "computes its output in a way": lambda: with_attribute("_conv_forward"),
    "Scaled has more than a convolution, which the model may use: scale": lambda: Scaled(4, 4, 3, dilation=2),
    "has more than a convolution, .*: norm_of_weight": lambda: WithMethod(4, 4, 3, dilation=2),
    "computes its output in a way of its own": lambda: OwnForward(4, 4, 3, dilation=2),
    "border is filled by reflect": lambda: nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="reflect"),
    "dilation differs between height and width": lambda: nn.Conv2d(4, 4, 3, dilation=(2, 4)),
    "no range is given for dilation 5": lambda: nn.Conv2d(4, 4, 3, dilation=5),
    "kernel of one pixel": lambda: nn.Conv2d(4, 4, 1, dilation=2),
    "pads one side more": lambda: nn.Conv2d(4, 4, 4, padding="same", dilation=1 + 2),
    "weight is computed anew": lambda: parametrizations.weight_norm(nn.Conv2d(4, 4, 3, dilation=2)),
    "Conv1d is not a two-dimensional": lambda: nn.Conv1d(4, 4, 3, dilation=2),
    "ConvTranspose2d is not a two-dimensional": lambda: nn.ConvTranspose2d(4, 4, 3, dilation=2),
    "size is not known yet": lambda: nn.LazyConv2d(4, 3, dilation=2),
    "learnable already": lambda: LearnableDilatedConv2d(4, 4, 3),
}


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_refusals_say_why_and_leave_alone(reason):
    refused = REFUSED[reason]()
    model = nn.Sequential(refused, nn.Conv2d(4, 4, 3, padding=2, dilation=2))
    decisions = plan_conversion(model, {2: (1, 4), 3: (1, 4)})
    assert re.search(reason, str(decisions[0]))
    assert str(decisions[1]) == "1, dilation 2: learnable in (1, 4)"
    make_dilation_learnable(model, {2: (1, 4), 3: (1, 4)})
    assert model[0] is refused
    with pytest.raises(InputError, match=f"no convolution can be made learnable: 0, .*{reason}"):
        make_dilation_learnable(nn.Sequential(REFUSED[reason]()), {2: (1, 4), 3: (1, 4)})


@pytest.mark.parametrize(
    "kind",
    [
        *("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"),
        *(
            "state_dict_post_hook",
            "state_dict_pre_hook",
            "load_state_dict_pre_hook",
            "load_state_dict_post_hook",
        ),
    ],
)
def test_hooks_are_not_lost_silently(kind):
    model = nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2))
    getattr(model[0], f"register_{kind}")(lambda *_: None)
    with pytest.raises(InputError, match="it has hooks; convert before they are set"):
        make_dilation_learnable(model, {2: (1, 4)})


def test_what_others_noted_on_a_layer_stays():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2))
    model[0].in_index = 3
    assert make_dilation_learnable(model, {2: (1, 4)})[0].in_index == 3


def test_a_kernel_along_one_axis():
    model = nn.Conv2d(4, 4, (1, 3), padding=(0, 2), dilation=(1, 2)).double()
    image = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    expected = model(image)
    torch.testing.assert_close(make_dilation_learnable(model, {2: (1, 4)})(image), expected)


def test_shared_layers_stay_shared():
    shared = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    make_dilation_learnable(model, {2: (1, 4)})
    assert model[0] is model[2]
    assert isinstance(model[0], LearnableDilatedConv2d)
    assert len(dilation_parameters(model)) == 1


def test_a_layer_whose_first_name_lies_elsewhere():
    shared = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
    model = nn.ModuleDict({"first": shared, "head": nn.Sequential(shared, shared)})
    assert [decision.name for decision in plan_conversion(model, within=["head"])] == ["head.0"]
    make_dilation_learnable(model, {2: (1, 4)}, within=["head"], initial={"head.0": 3.0})
    assert model["first"] is model["head"][0] is model["head"][1]
    assert model["first"].factors().tolist() == [3, 3, 3, 3]


def test_only_within_some_layers_and_from_elsewhere():
    model = nn.ModuleDict({name: nn.Conv2d(4, 4, 3, dilation=2) for name in ("conv4", "conv5", "conv55")})
    make_dilation_learnable(model, {2: (1, 4)}, within=["conv5"], initial=1.0, per_channel=False)
    assert list(converted(model)) == ["conv5", "conv55"]
    assert model["conv5"].factors().tolist() == [1, 1, 1, 1]
    assert model["conv5"].dilation_factors.shape == (1,)


def test_initial_factors_by_name():
    model = nn.ModuleDict({name: nn.Conv2d(4, 4, 3, dilation=2) for name in ("conv4", "conv5")})
    make_dilation_learnable(model, {2: (1, 4)}, initial={"conv5": 3.5})
    assert model["conv4"].factors().tolist() == [2, 2, 2, 2]
    assert model["conv5"].factors().tolist() == [3.5, 3.5, 3.5, 3.5]


def test_initial_factors_of_each_channel():
    """As a trained layer has them."""
    model = nn.ModuleDict({name: nn.Conv2d(4, 4, 3, dilation=2) for name in ("conv4", "conv5")})
    trained = torch.tensor([1.0, 2.5, 3.0, 4.0])
    make_dilation_learnable(model, {2: (1, 4)}, initial={"conv5": trained})
    assert model["conv4"].factors().tolist() == [2, 2, 2, 2]
    assert model["conv5"].factors().tolist() == trained.tolist()


def test_initial_factors_of_an_unknown_layer():
    model = nn.ModuleDict({"conv5": nn.Conv2d(4, 4, 3, dilation=2)})
    with pytest.raises(InputError, match="initial factor for conv6: give it to one of conv5"):
        make_dilation_learnable(model, {2: (1, 4)}, initial={"conv6": 3.5})


@pytest.mark.parametrize(
    ("ranges", "initial", "message"),
    [
        ({2: (3, 4)}, "constant", r"dilation 2 lies outside its range \(3, 4\)"),
        ({2: (4, 1)}, "constant", "give 1 <= lowest <= highest"),
        ({2: (1, 4)}, 7.0, r"dilation 7 lies outside its range \(1, 4\)"),
        ({3: (1, 4)}, "constant", "no range is given for dilation 2"),
    ],
)
def test_bad_ranges(ranges, initial, message):
    with pytest.raises(InputError, match=message):
        make_dilation_learnable(nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2)), ranges, initial=initial)


def test_a_model_without_dilation():
    with pytest.raises(InputError, match=r"Sequential: no convolution .* it has no dilated convolution"):
        make_dilation_learnable(nn.Sequential(nn.Conv2d(4, 4, 3)))


def test_parameter_groups():
    model = make_dilation_learnable(nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2), nn.Conv2d(4, 2, 1)))
    weights, factors = parameter_groups(model, 0.1, 5.0, weight_decay=1e-4)
    assert len(weights["params"]) == 4
    assert (weights["lr"], weights["weight_decay"]) == (0.1, 1e-4)
    assert (factors["lr"], factors["weight_decay"]) == (5.0, 0)
    assert factors["params"] == dilation_parameters(model)
    torch.optim.SGD([weights, factors], lr=0.1)


def test_as_a_configured_network():
    network = partial(PSPNet, backbone=partial(ResNet, depth=18, width=4))
    torch.manual_seed(0)
    plain = network(5, 3).eval()
    torch.manual_seed(0)
    model = LearnableDilation(5, 3, network=network, ranges=((2, 1, 4),)).eval()
    image = torch.randn(1, 3, 65, 65)
    torch.testing.assert_close(model(image), plain(image), rtol=1e-4, atol=1e-5)
    logits, auxiliary = model.forward_with_auxiliary(image)
    assert auxiliary[0].shape == logits.shape
    assert model.backbone is model.network.backbone
    assert converted(model)


def test_hugging_face():
    transformers = pytest.importorskip("transformers")
    mobilenet = transformers.MobileNetV2ForSemanticSegmentation(
        transformers.MobileNetV2Config(depth_multiplier=0.35, output_stride=8, num_labels=5)
    ).eval()
    image = torch.randn(1, 3, 64, 64)
    before = mobilenet(image).logits
    decisions = plan_conversion(mobilenet)
    assert any(decision.range for decision in decisions)
    model = make_dilation_learnable(copy.deepcopy(mobilenet))
    torch.testing.assert_close(model(image).logits, before, rtol=1e-4, atol=1e-4)
