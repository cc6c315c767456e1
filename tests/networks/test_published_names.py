"""Weights under the names and shapes in which they are published load into the backbones."""

from functools import partial

import pytest
import torch
from tests.networks.published import (
    mobilenet_names,
    pspnet_head_names,
    resnet_names,
    vgg_names,
    xception_names,
)

from tessella.networks import VGG16, MobileNetV2, PSPNet, ResNet, Xception


@pytest.mark.parametrize(
    ("backbone", "names", "left_out"),
    [
        *[(partial(ResNet, depth), partial(resnet_names, depth), ("fc.",)) for depth in (18, 34, 50, 101)],
        (partial(ResNet, 50, deep_stem=True), partial(resnet_names, 50, deep_stem=True), ("fc.",)),
        (VGG16, vgg_names, ("classifier.",)),
        (MobileNetV2, mobilenet_names, ("features.18.", "classifier.")),
        (partial(Xception, 65), partial(xception_names, 65), ("head.",)),
        (partial(Xception, 71), partial(xception_names, 71), ("head.",)),
    ],
)
def test_backbone_has_the_published_names_and_shapes(backbone, names, left_out: tuple[str, ...]):
    with torch.device("meta"):
        state = backbone().state_dict()
    published = {name: shape for name, shape in names() if not name.startswith(left_out)}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == published


def test_heads_of_pspnet_have_the_published_names_and_shapes():
    with torch.device("meta"):
        state = PSPNet(19).state_dict()
    heads = {name: tuple(t.shape) for name, t in state.items() if not name.startswith("backbone.")}
    assert heads == dict(pspnet_head_names(19))
