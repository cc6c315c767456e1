"""Real models of other libraries made learnable, with random weights: ``make test-zoo``."""

import copy

import pytest
import torch

from tessella.dilation import (
    as_plain_convolutions,
    dilation_parameters,
    fold_dilation,
    make_dilation_learnable,
    plan_conversion,
    round_dilation,
)
from tessella.networks.adapters import as_network

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("default")]
torchvision = pytest.importorskip("torchvision", exc_type=ImportError)
timm = pytest.importorskip("timm", exc_type=ImportError)
smp = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)

RANGES = {2: (1, 4), 4: (1, 8), 6: (1, 11), 12: (7, 17), 18: (13, 23), 24: (19, 29), 36: (30, 40)}


def torchvision_model(name):
    build = getattr(torchvision.models.segmentation, name)
    return build(weights=None, weights_backbone=None, num_classes=7)


def timm_model(name, output_stride=8, **options):
    return timm.create_model(name, pretrained=False, num_classes=7, output_stride=output_stride, **options)


def smp_model(name, **options):
    return getattr(smp, name)("resnet18", encoder_weights=None, classes=7, **options)


MODELS = {
    "torchvision fcn_resnet50": lambda: torchvision_model("fcn_resnet50"),
    "torchvision deeplabv3_resnet50": lambda: torchvision_model("deeplabv3_resnet50"),
    "torchvision deeplabv3_mobilenet": lambda: torchvision_model("deeplabv3_mobilenet_v3_large"),
    # Blocks that begin as nothing but their shortcut would give the factors no gradient yet.
    "timm resnet18": lambda: timm_model("resnet18", zero_init_last=False),
    "timm resnext26ts": lambda: timm_model("resnext26ts", zero_init_last=False),
    "timm efficientnet_b0": lambda: timm_model("efficientnet_b0", 16),
    "timm convnext_atto": lambda: timm_model("convnext_atto"),
    "smp DeepLabV3": lambda: smp_model("DeepLabV3"),
    "smp DeepLabV3Plus": lambda: smp_model("DeepLabV3Plus"),
    "smp PAN": lambda: smp_model("PAN"),
}


def output_of(model, image):
    output = model(image)
    return output["out"] if isinstance(output, dict) else output


@pytest.mark.parametrize("name", MODELS)
def test_conversion(name):
    torch.manual_seed(0)
    model = MODELS[name]().double().eval()
    image = torch.randn(1, 3, 128, 192, dtype=torch.float64)
    with torch.no_grad():
        before = output_of(model, image)
    decisions = plan_conversion(model, RANGES)
    dilated = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and max(m.dilation) > 1]
    assert len(decisions) >= len(dilated) > 0
    make_dilation_learnable(model, RANGES)
    factors = dilation_parameters(model)
    assert len(factors) == sum(decision.range is not None for decision in decisions) > 0
    with torch.no_grad():
        torch.testing.assert_close(output_of(model, image), before, rtol=1e-9, atol=1e-9)
    output_of(model, image).square().mean().backward()
    assert all(factor.grad.isfinite().all() for factor in factors)
    assert any(factor.grad.abs().max() > 0 for factor in factors)


@pytest.mark.parametrize("name", ["torchvision deeplabv3_mobilenet", "smp DeepLabV3Plus", "timm resnet18"])
def test_deployment(name):
    torch.manual_seed(0)
    model = make_dilation_learnable(MODELS[name](), RANGES, initial="uniform").double().eval()
    image = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        learned = output_of(model, image)
        torch.testing.assert_close(output_of(fold_dilation(copy.deepcopy(model)), image), learned)
        rounded = round_dilation(model)
        expected = output_of(rounded, image)
        torch.testing.assert_close(output_of(as_plain_convolutions(rounded), image), expected)


def test_through_the_adapter():
    model = make_dilation_learnable(MODELS["smp DeepLabV3Plus"](), RANGES).eval()
    assert as_network(model, num_classes=7)(torch.randn(1, 3, 60, 90)).shape == (1, 7, 60, 90)
