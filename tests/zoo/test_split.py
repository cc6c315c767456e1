"""Other libraries' networks cut in two, to the bit; skip connections refused."""

import pytest
import torch

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("default")]
torchvision = pytest.importorskip("torchvision", exc_type=ImportError)
smp = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)

from tessella.errors import InputError  # noqa: E402
from tessella.feature_synthesis import split  # noqa: E402
from tessella.networks.adapters import as_network  # noqa: E402


def torchvision_model(name):
    build = getattr(torchvision.models.segmentation, name)
    return build(weights=None, weights_backbone=None, num_classes=5)


def smp_model(name):
    return getattr(smp, name)("resnet18", encoder_weights=None, classes=5)


CUTS = {
    "torchvision fcn": (lambda: torchvision_model("fcn_resnet50"), "backbone.layer3.2"),
    "torchvision fcn, before a rectifier": (
        lambda: torchvision_model("fcn_resnet50"),
        "backbone.layer3.5.relu",
    ),
    "torchvision deeplabv3": (lambda: torchvision_model("deeplabv3_resnet50"), "backbone.layer3"),
    "torchvision deeplabv3 mobilenet": (
        lambda: torchvision_model("deeplabv3_mobilenet_v3_large"),
        "backbone.12",
    ),
    "smp PSPNet": (lambda: smp_model("PSPNet"), "encoder.layer2"),
    "smp DeepLabV3": (lambda: smp_model("DeepLabV3"), "encoder.layer3"),
}


@pytest.mark.parametrize("name", CUTS)
def test_same_bits(name):
    torch.manual_seed(0)
    build, at = CUTS[name]
    network = as_network(build()).eval()
    (layer,) = (found for found, _ in network.named_modules() if found.endswith(at))
    image = torch.rand(1, 3, 96, 128)
    halves = split(network, layer, "input" if at.endswith("relu") else "output")
    with torch.no_grad():
        features = halves.encode(image)
        assert torch.equal(halves.decode(features, (96, 128)), network(image))
    assert features.shape[2] < 96


@pytest.mark.parametrize("name", ["Unet", "FPN", "DeepLabV3Plus"])
def test_skip_connections(name):
    network = as_network(smp_model(name)).eval()
    (layer,) = (found for found, _ in network.named_modules() if found.endswith("encoder.layer3"))
    with pytest.raises(InputError, match="skip connection"):
        split(network, layer).encode(torch.rand(1, 3, 96, 128))
