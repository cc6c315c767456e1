"""Hugging Face models made learnable, built from small configurations without any download: ``make test-zoo``."""

import copy

import pytest
import torch

from tessella.dilation import (
    LearnableDilatedConv2d,
    as_plain_convolutions,
    dilation_parameters,
    fold_dilation,
    make_dilation_learnable,
    plan_conversion,
    round_dilation,
)

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("default")]
transformers = pytest.importorskip("transformers", exc_type=ImportError)

TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "num_labels": 5,
    "use_auxiliary_head": True,
}


def mobilenet_v2():
    config = transformers.MobileNetV2Config(depth_multiplier=0.35, output_stride=8, num_labels=5)
    return transformers.MobileNetV2ForSemanticSegmentation(config)


def beit():
    config = transformers.BeitConfig(
        **TRANSFORMER, patch_size=8, out_indices=[1, 2, 3, 4], use_relative_position_bias=True
    )
    return transformers.BeitForSemanticSegmentation(config)


def dpt():
    config = transformers.DPTConfig(
        **TRANSFORMER,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        is_hybrid=False,
    )
    return transformers.DPTForSemanticSegmentation(config)


def resnet_backbone():
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 24],
        depths=[1, 1, 2, 2],
        layer_type="basic",
        out_features=["stage4"],
    )
    return transformers.ResNetBackbone(config)


MODELS = {  # ranges and layers: the last three have no dilation, which learning may find from 1
    "MobileNetV2, output stride 8": (mobilenet_v2, {2: (1, 4), 4: (1, 8)}, [""]),
    "BEiT, auxiliary head": (beit, {1: (1, 4)}, ["decode_head", "auxiliary_head"]),
    "DPT, neck and auxiliary head": (dpt, {1: (1, 4)}, ["neck", "auxiliary_head"]),
    "ResNet backbone, last stages": (resnet_backbone, {1: (1, 4)}, ["encoder.stages.2", "encoder.stages.3"]),
}


def outputs(model, image):
    """What the model gives: maps of features, or logits, and the loss where it has one."""
    if isinstance(model, transformers.ResNetBackbone):
        return list(model(image).feature_maps)
    output = model(image, labels=torch.arange(64 * 64).view(1, 64, 64) % 5)
    return [output.logits, output.loss[None]]


@pytest.mark.parametrize("name", MODELS)
def test_conversion(name):
    build, ranges, within = MODELS[name]
    torch.manual_seed(0)
    model = build().double().eval()
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        before = outputs(model, image)
    decisions = plan_conversion(model, ranges, within)
    assert make_dilation_learnable(model, ranges, within=within) is model
    factors = dilation_parameters(model)
    assert len(factors) == sum(decision.range is not None for decision in decisions) > 0
    for layer in within:
        assert any(decision.range and decision.name.startswith(layer) for decision in decisions)
    with torch.no_grad():
        torch.testing.assert_close(outputs(model, image), before, rtol=1e-9, atol=1e-9)
    sum(output.square().mean() for output in outputs(model, image)).backward()
    learnable = [module for module in model.modules() if isinstance(module, LearnableDilatedConv2d)]
    used = [layer for layer in learnable if layer.weight.grad is not None]  # DPT has a layer without use
    assert len(used) >= len(learnable) - 2
    assert all(layer.dilation_factors.grad.isfinite().all() for layer in used)
    # On maps of 2x2 some taps read nothing but the border's zeros, wherever they move a little.
    assert sum(bool(layer.dilation_factors.grad.abs().max() > 0) for layer in used) > len(used) / 2


@pytest.mark.parametrize("name", MODELS)
def test_deployment(name):
    build, ranges, within = MODELS[name]
    torch.manual_seed(0)
    model = build().double().eval()
    make_dilation_learnable(model, ranges, within=within, initial="uniform")
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        learned = outputs(model, image)
        torch.testing.assert_close(outputs(fold_dilation(copy.deepcopy(model)), image), learned)
        expected = outputs(round_dilation(model), image)
        torch.testing.assert_close(outputs(as_plain_convolutions(model), image), expected)
