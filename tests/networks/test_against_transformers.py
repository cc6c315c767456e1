"""The same weights in another team's ResNet and UPerNet (Hugging Face transformers) give the same logits."""

import re
from functools import partial

import pytest
import torch

from tessella.networks import ResNet, UPerNet

transformers = pytest.importorskip("transformers")

# Their names to ours.
RENAMED = (
    (r"backbone\.embedder\.embedder\.convolution", "backbone.conv1"),
    (r"backbone\.embedder\.embedder\.normalization", "backbone.bn1"),
    (r"encoder\.stages\.(\d)\.layers\.(\d)", lambda m: f"layer{int(m[1]) + 1}.{m[2]}"),
    (r"shortcut\.convolution", "downsample.0"),
    (r"shortcut\.normalization", "downsample.1"),
    (r"layer\.(\d)\.convolution", lambda m: f"conv{int(m[1]) + 1}"),
    (r"layer\.(\d)\.normalization", lambda m: f"bn{int(m[1]) + 1}"),
    (r"decode_head\.psp_modules\.(\d)\.1\.conv\.", r"ppm.features.\1.1."),
    (r"decode_head\.psp_modules\.(\d)\.1\.batch_norm\.", r"ppm.features.\1.2."),
    (r"decode_head\.bottleneck", "context"),
    (r"decode_head\.lateral_convs", "lateral"),
    (r"decode_head\.fpn_convs", "smooth"),
    (r"decode_head\.fpn_bottleneck", "head"),
    (r"decode_head\.classifier", "head.4"),
    (r"auxiliary_head\.convs\.0", "aux"),
    (r"auxiliary_head\.classifier", "aux.4"),
    (r"\.conv\.", ".0."),
    (r"\.batch_norm\.", ".1."),
)


def our_name(name: str) -> str:
    for theirs, ours in RENAMED:
        name = re.sub(theirs, ours, name)
    return name


@pytest.mark.parametrize(("depth", "in_1x1"), [(34, False), (50, False), (50, True)])
def test_upernet_on_resnet(depth: int, in_1x1: bool):
    torch.manual_seed(0)
    expansion = 1 if depth < 50 else 4
    config = transformers.UperNetConfig(
        backbone_config=transformers.ResNetConfig(
            embedding_size=4,
            hidden_sizes=[4 * expansion, 8 * expansion, 16 * expansion, 32 * expansion],
            depths=[3, 4, 6, 3],
            layer_type="basic" if depth < 50 else "bottleneck",
            downsample_in_bottleneck=in_1x1,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        hidden_size=8,
        num_labels=5,
        auxiliary_in_channels=16 * expansion,
        auxiliary_channels=8,
    )
    reference = transformers.UperNetForSemanticSegmentation(config).eval()
    for name, value in reference.state_dict().items():
        if name.endswith(("weight", "bias")):
            value.normal_(0.2, 0.5 / max(1, value[0].numel()) ** 0.5)
    backbone = partial(ResNet, depth, width=4, stride_in_1x1=in_1x1)
    network = UPerNet(5, backbone=backbone, channels=8, auxiliary_channels=8).eval()
    network.load_state_dict({our_name(name): value for name, value in reference.state_dict().items()})
    image = torch.randn(2, 3, 97, 130)
    with torch.no_grad():
        expected = reference(image).logits
        found = network(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
