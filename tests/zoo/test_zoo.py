"""Real models of other libraries, with random weights, as networks: ``make test-zoo``."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.networks.adapters import as_network
from tessella.networks.export import export
from tessella.networks.exported_network import load_exported
from tessella.networks.weights import load_weights

pytestmark = [
    pytest.mark.zoo,
    # Other libraries' own warnings are not ours to answer for.
    pytest.mark.filterwarnings("default"),
]
torchvision = pytest.importorskip("torchvision", exc_type=ImportError)
timm = pytest.importorskip("timm", exc_type=ImportError)
smp = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)

NUM_CLASSES = 7
SEGMENTATION = torchvision.models.segmentation


def torchvision_model(name, **options):
    build = getattr(SEGMENTATION, name)
    return build(weights=None, weights_backbone=None, num_classes=NUM_CLASSES, **options)


def smp_model(name, encoder="resnet18", **options):
    return getattr(smp, name)(encoder, encoder_weights=None, classes=NUM_CLASSES, **options)


class TimmSegmenter(nn.Module):
    """How people build on timm: features of a backbone, a head of their own."""

    def __init__(self, name):
        super().__init__()
        self.backbone = timm.create_model(name, pretrained=False, features_only=True)
        self.head = nn.Conv2d(self.backbone.feature_info.channels()[-1], NUM_CLASSES, 1)

    def forward(self, image):
        return self.head(self.backbone(image)[-1])


MODELS = {
    "torchvision fcn_resnet50": lambda: torchvision_model("fcn_resnet50", aux_loss=True),
    "torchvision deeplabv3_mobilenet": lambda: torchvision_model(
        "deeplabv3_mobilenet_v3_large", aux_loss=True
    ),
    "torchvision lraspp_mobilenet": lambda: torchvision_model("lraspp_mobilenet_v3_large"),
    "timm resnet18": lambda: TimmSegmenter("resnet18"),
    "timm convnext_atto": lambda: TimmSegmenter("convnext_atto"),
    "timm mobilenetv3_small_100": lambda: TimmSegmenter("mobilenetv3_small_100"),
    "smp Unet on timm": lambda: smp_model("Unet", "tu-mobilenetv3_small_100"),
    "smp Segformer": lambda: smp_model("Segformer", "mit_b0"),
    "smp DPT": lambda: smp_model("DPT", "tu-vit_tiny_patch16_224", dynamic_img_size=True),
} | {
    f"smp {name}": lambda name=name: smp_model(name)
    for name in (
        *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN"),
        *("DeepLabV3", "DeepLabV3Plus", "UPerNet"),
    )
}


@pytest.mark.parametrize("name", MODELS)
def test_predicts_and_learns(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    network = as_network(model, num_classes=NUM_CLASSES)
    with torch.no_grad():
        assert network.eval()(torch.randn(1, 3, 97, 131)).shape == (1, NUM_CLASSES, 97, 131)
        image = torch.randn(2, 3, 128, 128)
        output = model(image)
        output = output["out"] if isinstance(output, dict) else output
        expected = F.interpolate(output, size=(128, 128), mode="bilinear")
        torch.testing.assert_close(network(image), expected)

    network.train()
    backbone = list(network.backbone.parameters())
    heads = [p for p in network.parameters() if all(p is not q for q in backbone)]
    optimizer = torch.optim.SGD([{"params": backbone}, {"params": heads, "lr": 0.1}], lr=0.01)
    labels = torch.randint(0, NUM_CLASSES, (2, 128, 128))
    if hasattr(network, "forward_with_auxiliary"):
        logits, auxiliary = network.forward_with_auxiliary(image)
        assert len(auxiliary) == 1
        loss = F.cross_entropy(logits, labels) + 0.4 * F.cross_entropy(auxiliary[0], labels)
    else:
        loss = F.cross_entropy(network(image), labels)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in heads)


def test_auxiliary_heads_of_torchvision_are_found():
    assert hasattr(as_network(MODELS["torchvision fcn_resnet50"]()), "forward_with_auxiliary")
    assert not hasattr(as_network(MODELS["torchvision lraspp_mobilenet"]()), "forward_with_auxiliary")


def test_torchvision_classifier_into_its_segmentation_backbone(tmp_path):
    """An ImageNet file as it is published, with its classifier, and for another number of channels."""
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), tmp_path / "resnet50.pth")
    network = as_network(torchvision_model("fcn_resnet50"))
    report = load_weights(network, tmp_path / "resnet50.pth", strict=False)
    assert report.part == "wrapped.backbone."
    assert report.unexpected == ("fc.weight", "fc.bias")
    assert all(name.startswith("wrapped.classifier.") for name in report.missing)
    network = as_network(smp_model("Unet", "resnet50", in_channels=6))
    report = load_weights(network, tmp_path / "resnet50.pth", strict=False)
    assert report.adapted == {"wrapped.encoder.conv1.weight": "3 -> 6 input channels"}


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.parametrize("name", ["torchvision lraspp_mobilenet", "smp DeepLabV3Plus"])
def test_export(tmp_path, name, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime")
    network = as_network(MODELS[name]()).eval()
    report = export(network, tmp_path / f"a{suffix}", input_size=(128, 160))
    assert report.fixed == ()
    image = torch.randn(1, 3, 97, 131)
    with torch.no_grad():
        torch.testing.assert_close(load_exported(report.path)(image), network(image), rtol=1e-3, atol=1e-3)
