"""Files as they are published, under their names, into networks that they belong in; all channels reduced."""

from functools import partial

import pytest
import torch
from tests.networks.published import Names, pspnet_names, resnet_names, torchvision_fcn_names, vgg_names

from tessella.errors import InputError
from tessella.networks import FCN, VGG16, DeepLabLargeFOV, DeepLabV3Plus, PSPNet, ResNet, TwoStreamFCN
from tessella.networks.deeplab_largefov import large_fov_vgg16
from tessella.networks.weights import load_weights

SMALL = 16
"""What numbers of channels are divided by."""

FIXED = {3, 19, 21, 1000, 25088}
"""Sizes that are no numbers of channels of ours: colours, classes, and 7 x 7 maps of 512 channels."""

vgg = partial(VGG16, width=64 // SMALL, fc_channels=4096 // SMALL, dropout=0)
large_fov = partial(large_fov_vgg16, width=64 // SMALL, fc_channels=1024 // SMALL)
resnet50 = partial(ResNet, 50, width=64 // SMALL)


def write(names: Names, path) -> dict[str, torch.Tensor]:
    """Random tensors under these names, with fewer channels."""
    state = {}
    for name, shape in names:
        sizes = [25088 // SMALL if n == 25088 else n if n in FIXED else max(1, n // SMALL) for n in shape]
        if len(shape) == 4:
            sizes[2:] = shape[2:]
        state[name] = torch.randn(sizes) if sizes else torch.tensor(7)
    torch.save(state, path)
    return state


def assert_holds(state, prefix, published):
    """Every tensor of the network under ``prefix`` is the published one of that name."""
    names = [name for name in state if name.startswith(prefix)]
    assert names
    for name in names:
        expected = published[name.removeprefix(prefix)]
        torch.testing.assert_close(state[name], expected.view_as(state[name]), rtol=0, atol=0)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_vgg_into_fcn_with_its_dense_layers_as_convolutions(tmp_path, stride):
    published = write(vgg_names(), tmp_path / "vgg16.pth")
    network = FCN(21, backbone=vgg, stride=stride).eval()
    with pytest.raises(InputError, match=r"classifier.0.weight \(dense layer as 7x7 convolution\)"):
        load_weights(network, tmp_path / "vgg16.pth")
    report = load_weights(network, tmp_path / "vgg16.pth", strict=False)
    assert report.part == "backbone."
    assert report.adapted == {
        "backbone.classifier.0.weight": "dense layer as 7x7 convolution",
        "backbone.classifier.3.weight": "dense layer as 1x1 convolution",
    }
    assert report.unexpected == ("classifier.6.weight", "classifier.6.bias")
    assert not any(name.startswith("backbone.") for name in report.missing)
    assert_holds(network.state_dict(), "backbone.", published)

    pool5 = torch.randn(1, 32, 7, 7)
    fc6 = (published["classifier.0.weight"] @ pool5.flatten() + published["classifier.0.bias"]).relu()
    fc7 = (published["classifier.3.weight"] @ fc6 + published["classifier.3.bias"]).relu()
    with torch.no_grad():
        torch.testing.assert_close(network.backbone.classifier(pool5)[0, :, 3, 3], fc7, rtol=1e-4, atol=1e-3)


def test_vgg_into_largefov_without_its_dense_layers(tmp_path):
    """fc6 sees 3x3 of 7x7 pixels there, and has a quarter of the channels."""
    published = write(vgg_names(), tmp_path / "vgg16.pth")
    network = DeepLabLargeFOV(21, backbone=large_fov)
    report = load_weights(network, tmp_path / "vgg16.pth", strict=False)
    assert [name.removeprefix("backbone.") for name in report.reset] == [
        "classifier.0.weight",
        "classifier.0.bias",
        "classifier.3.weight",
        "classifier.3.bias",
    ]
    assert not report.adapted
    assert_holds(network.state_dict(), "backbone.features.", {k[9:]: v for k, v in published.items()})


def test_vgg_without_dense_layers(tmp_path):
    published = write(vgg_names(), tmp_path / "vgg16.pth")
    network = PSPNet(21, backbone=partial(VGG16, width=4), pyramid_channels=4, head_channels=8)
    report = load_weights(network, tmp_path / "vgg16.pth", strict=False)
    assert len(report.loaded) == 26
    assert_holds(network.state_dict(), "backbone.", published)


@pytest.mark.parametrize("channels", [6, 4])
def test_vgg_into_both_streams(tmp_path, channels):
    published = write(vgg_names(), tmp_path / "vgg16.pth")
    network = TwoStreamFCN(21, in_channels=channels, backbone=vgg)
    report = load_weights(network, tmp_path / "vgg16.pth", strict=False)
    state, first = network.state_dict(), "features.0.weight"
    assert report.part == "backbone."
    assert len(report.loaded) == 60
    assert report.unexpected == ("classifier.6.weight", "classifier.6.bias")
    assert not any(name.startswith("backbone.") for name in report.missing)
    assert_holds(state, "backbone.colour.", published)
    if channels == 4:
        grey = published[first].sum(1, keepdim=True)
        torch.testing.assert_close(state[f"backbone.depth.{first}"], grey)
        assert report.adapted[f"backbone.depth.{first}"] == "3 -> 1 input channels"
        published[first] = grey
    assert_holds(state, "backbone.depth.", published)


def test_two_streams_of_a_run_load_as_they_were(tmp_path):
    trained, network = TwoStreamFCN(21, backbone=vgg), TwoStreamFCN(21, backbone=vgg)
    torch.save(trained.state_dict(), tmp_path / "run.pth")
    assert load_weights(network, tmp_path / "run.pth").exact
    torch.testing.assert_close(network.state_dict(), trained.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("network", [PSPNet, DeepLabV3Plus])
def test_backbone_of_torchvision_segmentation(tmp_path, network):
    published = write(torchvision_fcn_names(21), tmp_path / "fcn_resnet50.pth")
    network = network(21, backbone=resnet50)
    heads = {k: v.clone() for k, v in network.state_dict().items() if not k.startswith("backbone.")}
    report = load_weights(network, tmp_path / "fcn_resnet50.pth", strict=False)
    assert_holds(network.state_dict(), "", network.state_dict() | published | heads)
    assert all(name.startswith(("classifier.", "aux_classifier.")) for name in report.unexpected)
    assert set(report.missing) == {k for k in heads if not k.endswith("num_batches_tracked")}


def test_public_pspnet(tmp_path):
    """All of it, heads included, and exactly; as trained in parallel."""
    published = write(pspnet_names(50, 19), tmp_path / "a.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in published.items()}}, tmp_path / "a.pth")
    network = PSPNet(
        19,
        backbone=partial(resnet50, deep_stem=True),
        pyramid_channels=512 // SMALL,
        head_channels=512 // SMALL,
        auxiliary_channels=256 // SMALL,
    )
    assert load_weights(network, tmp_path / "a.pth").exact
    state = network.state_dict()
    for ours, theirs in {
        "backbone.conv1.weight": "layer0.0.weight",
        "backbone.bn2.running_mean": "layer0.4.running_mean",
        "backbone.conv3.weight": "layer0.6.weight",
        "backbone.layer4.2.conv3.weight": "layer4.2.conv3.weight",
        "ppm.features.3.1.weight": "ppm.features.3.1.weight",
        "cls.4.bias": "cls.4.bias",
    }.items():
        torch.testing.assert_close(state[ours], published[theirs], rtol=0, atol=0)


def test_backbone_of_public_pspnet_under_another_head(tmp_path):
    write(pspnet_names(50, 19), tmp_path / "a.pth")
    network = DeepLabV3Plus(19, backbone=partial(resnet50, deep_stem=True))
    report = load_weights(network, tmp_path / "a.pth", strict=False)
    assert not any(name.startswith("backbone.") for name in (*report.missing, *report.reset))
    assert all(name.startswith(("ppm.", "cls.", "aux.")) for name in report.unexpected)


def test_imagenet_classifier(tmp_path):
    published = write(resnet_names(50), tmp_path / "resnet50.pth")
    network = DeepLabV3Plus(19, backbone=resnet50)
    assert load_weights(network, tmp_path / "resnet50.pth", strict=False).unexpected == (
        "fc.weight",
        "fc.bias",
    )
    assert_holds(network.state_dict(), "backbone.", published)


class LayerZero(torch.nn.Module):
    """A network of ours that happens to have the release's names."""

    def __init__(self):
        super().__init__()
        for stage in range(5):
            self.add_module(f"layer{stage}", torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1)))


def test_names_are_left_alone_where_the_network_has_them(tmp_path):
    trained, network = LayerZero(), LayerZero()
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    assert load_weights(network, tmp_path / "a.pth").exact
    torch.testing.assert_close(network.state_dict(), trained.state_dict(), rtol=0, atol=0)
