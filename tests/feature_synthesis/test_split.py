"""Networks cut in two give the same bits as whole."""

from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.feature_synthesis import split
from tessella.networks import FCN, DeepLabV2, DeepLabV3Plus, PSPNet, ResNet
from tessella.networks.adapters import as_network

SMALL = partial(ResNet, depth=18, width=8)


@pytest.fixture
def pspnet():
    torch.manual_seed(0)
    network = PSPNet(5, backbone=SMALL, pyramid_channels=8, head_channels=8, auxiliary_channels=8)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network.eval()


class Untraceable(nn.Module):
    """Looks at the values of its input, which no tracing can follow."""

    def __init__(self, skip: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Conv2d(8, 4, 1)
        self.skip = skip

    def forward(self, image):
        if bool(image.isnan().any()):
            raise ValueError
        x = self.relu(self.stem(image))
        y = self.relu(self.block(x) - 0.1)
        if self.skip:
            y = y + x
        return F.interpolate(self.head(y), image.shape[2:], mode="bilinear")


@pytest.mark.parametrize(
    ("at", "side", "channels"),
    [
        ("backbone.layer1", "output", 8),
        ("backbone.layer2.0", "output", 16),
        ("backbone.layer3.1.relu", "input", 32),
        ("backbone.layer4", "output", 64),
        ("", "output", 3),
    ],
)
def test_same_bits(pspnet, at, side, channels):
    images = torch.rand(2, 3, 61, 83)
    halves = split(pspnet, at, side)
    with torch.no_grad():
        features = halves.encode(images)
        before = features.clone()
        assert features.shape[1] == channels
        assert torch.equal(halves.decode(features, (61, 83)), pspnet(images))
        assert torch.equal(features, before)  # a rectifier that comes first works in place
        logits, auxiliary = halves.decode_all(features, (61, 83))
        expected = pspnet.forward_with_auxiliary(images)
    assert torch.equal(logits, expected[0])
    # At the last stage the auxiliary head lies before the cut.
    assert len(auxiliary) == (0 if at == "backbone.layer4" else 1)
    assert all(torch.equal(a, b) for a, b in zip(auxiliary, expected[1], strict=False))


def test_before_a_rectifier_features_are_negative_too(pspnet):
    with torch.no_grad():
        features = split(pspnet, "backbone.layer3.1.relu", "input").encode(torch.rand(1, 3, 64, 64))
        behind = split(pspnet, "backbone.layer3.1.relu").encode(torch.rand(1, 3, 64, 64))
    assert features.min() < 0 <= behind.min()


def test_gradients_of_features_reach_the_decoder_alone(pspnet):
    halves = split(pspnet.train(), "backbone.layer3")
    logits, (auxiliary,) = halves.decode_all(torch.randn(2, 32, 8, 10), (64, 80))
    (logits.square().mean() + auxiliary.square().mean()).backward()
    touched = {name.rsplit(".", 1)[0] for name, p in pspnet.named_parameters() if p.grad is not None}
    assert any(name.startswith("backbone.layer4") for name in touched)
    assert any(name.startswith("aux") for name in touched)
    assert not any(name.startswith(("backbone.layer3", "backbone.conv1")) for name in touched)


def test_follows_the_networks_mode(pspnet):
    halves = split(pspnet.train(), "backbone.layer3")
    before = pspnet.cls[1].running_mean.clone()
    features = torch.randn(2, 32, 8, 10)
    halves.decode(features, (64, 80))
    assert not torch.equal(pspnet.cls[1].running_mean, before)
    pspnet.eval()
    with torch.no_grad():
        assert torch.equal(halves.decode(features, (64, 80)), halves.decode(features, (64, 80)))


def test_another_chain(pspnet):
    network = DeepLabV2(4, backbone=SMALL).eval()
    images = torch.rand(1, 3, 65, 49)
    halves = split(network, "backbone.layer4")
    with torch.no_grad():
        assert torch.equal(halves.decode(halves.encode(images), (65, 49)), network(images))


@pytest.mark.parametrize("side", ["output", "input"])
@pytest.mark.parametrize("at", ["stem", "relu", "block"])
def test_what_cannot_be_traced(at, side):
    network = Untraceable()
    if (at, side) == ("stem", "input"):
        pytest.skip("that is the image itself")
    images = torch.rand(2, 3, 24, 32)
    halves = split(network, at, side)
    with torch.no_grad():
        features = halves.encode(images)
        before = features.clone()
        assert torch.equal(halves.decode(features, (24, 32)), network(images))
        assert torch.equal(features, before)
    assert network.training


class AtOneScale(nn.Module):
    """Adds the image to what it makes of it, or looks at values in training."""

    def __init__(self, skip: bool = False) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.skip = skip

    def forward(self, image):
        if self.training and bool(image.isnan().any()):
            raise ValueError
        x = self.stem(image)
        return self.head(x + image if self.skip else x)


def test_the_image_must_not_be_used_behind_the_cut():
    with pytest.raises(InputError, match="stem: the image also reaches what follows"):
        split(AtOneScale(skip=True).eval(), "stem")


def test_traced_in_one_mode_alone():
    network = AtOneScale().eval()
    halves = split(network, "stem")
    image = torch.rand(1, 3, 8, 8)
    for mode in (True, False):
        network.train(mode)
        assert torch.equal(halves.decode(halves.encode(image), (8, 8)), network(image))


def test_at_the_input_of_the_first_layer_all_is_decoder():
    network, image = AtOneScale(skip=True).eval(), torch.rand(1, 3, 8, 8)
    halves = split(network, "stem", "input")
    assert torch.equal(halves.encode(image), image)
    assert torch.equal(halves.decode(image, (8, 8)), network(image))


def test_a_layer_may_know_the_images_size():
    """Upsampling of an FCN is given the image for it."""
    network, image = FCN(4, backbone=SMALL, stride=32).eval(), torch.rand(1, 3, 64, 96)
    halves = split(network, "score_fr")
    with torch.no_grad():
        assert torch.equal(halves.decode(halves.encode(image), (64, 96)), network(image))


def test_skip_connections_are_refused():
    network = DeepLabV3Plus(
        4, backbone=SMALL, pyramid_channels=8, low_level_channels=4, decoder_channels=8
    ).eval()
    with pytest.raises(InputError, match=r"backbone.layer3: backbone.layer1 also reaches what follows"):
        split(network, "backbone.layer3")
    images = torch.rand(1, 3, 64, 64)
    halves = split(network, "backbone.layer1")  # all that follows comes from here
    with torch.no_grad():
        assert torch.equal(halves.decode(halves.encode(images), (64, 64)), network(images))


class UntraceableUNet(nn.Module):
    """Two skip connections within a module, and one around it; functions stand between them."""

    def __init__(self, of_image: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.ModuleDict({name: nn.Conv2d(8, 8, 3, padding=1) for name in ("one", "two", "three")})
        self.head = nn.Conv2d(16, 4, 1)
        self.of_image = of_image

    def forward(self, image):
        if bool(image.isnan().any()):
            raise ValueError
        x = F.relu(self.stem(image))
        one = F.relu(self.body["one"](x))
        two = self.body["two"](one)
        y = torch.cat([self.body["three"](F.relu(two)) + one * 2, x.clone().relu_()], 1)
        return self.head(y) + (image.mean(1, keepdim=True) if self.of_image else 0)


def test_skip_connections_of_what_cannot_be_traced_are_named():
    images = torch.rand(1, 3, 24, 32)
    with pytest.raises(InputError, match=r"^block: relu also reaches what follows \(a skip connection\)"):
        split(Untraceable(skip=True), "block").encode(images)
    for network, names in (
        (UntraceableUNet(), "stem and body.one"),
        (UntraceableUNet(of_image=True), "stem and body.one and the image"),
    ):
        with pytest.raises(InputError, match=rf"^body.two: {names} also reaches what follows"):
            split(network, "body.two").encode(images)
    after = split(UntraceableUNet(), "head", "input")
    assert after.encode(images).shape == (1, 16, 24, 32)


class Answers(nn.Module):
    """Gives what is no map of logits."""

    def __init__(self, answer, traceable: bool = True) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 4, 1)
        self.answer, self.traceable = answer, traceable

    def forward(self, image):
        if not self.traceable and bool(image.isnan().any()):
            raise ValueError
        return self.answer(self.head(self.stem(image)))


@pytest.mark.parametrize("traceable", [True, False])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda logits: OrderedDict(out=logits), "a dictionary of out"),
        (lambda logits: {"logits": logits}, "a dictionary of logits"),
        (lambda logits: (logits, logits), "a tuple"),
    ],
)
def test_networks_that_give_no_logits_are_adapted_first(answer, kind, traceable):
    network = Answers(answer, traceable).eval()
    images = torch.rand(2, 3, 64, 96)
    with pytest.raises(InputError, match=rf"the network gives {kind}, not logits .*as_network"):
        split(network, "stem").encode(images)
    adapted = as_network(network)
    halves = split(adapted, "wrapped.stem")
    with torch.no_grad():
        assert torch.equal(halves.decode(halves.encode(images), (64, 96)), adapted(images))


def test_layers_that_there_are_not(pspnet):
    with pytest.raises(InputError, match=r"no layer backbone.layer5; the nearest are backbone.layer"):
        split(pspnet, "backbone.layer5")
    with pytest.raises(InputError, match=r"not one map"):
        split(pspnet, "backbone.avgpool" if hasattr(pspnet.backbone, "avgpool") else "ppm").encode(
            torch.rand(1, 3, 64, 64)
        )
    unused = Untraceable()
    unused.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(InputError, match="does not call this layer"):
        split(unused, "spare").encode(torch.rand(1, 3, 24, 32))


def test_hugging_face():
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    config = transformers.SegformerConfig(
        num_labels=5, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=16
    )
    network = as_network(transformers.SegformerForSemanticSegmentation(config)).eval()
    (layer,) = (found for found, _ in network.named_modules() if found.endswith("decode_head.linear_fuse"))
    image = torch.rand(1, 3, 96, 128)
    halves = split(network, layer)
    with torch.no_grad():
        features = halves.encode(image)
        assert torch.equal(halves.decode(features, (96, 128)), network(image))


class Modal(nn.Module):
    """Does one thing in training and another in evaluation, and names a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Conv2d(8, 4, 1)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, image):
        x = F.dropout(self.stem(image), 0.5, self.training) * self.scale
        return F.interpolate(self.head(x), image.shape[2:], mode="bilinear")


def test_mode_and_buffers_are_those_of_the_moment():
    network = Modal().train()
    halves = split(network, "stem")
    image = torch.rand(1, 3, 16, 16)
    features = halves.encode(image)
    assert not torch.equal(halves.decode(features, (16, 16)), halves.decode(features, (16, 16)))
    network.eval()
    network.scale = torch.tensor(3.0)  # as moving to another device replaces it
    assert torch.equal(halves.decode(halves.encode(image), (16, 16)), network(image))


def test_hooks_keep_empty_images_out_of_the_encoders_averages():
    network = Untraceable()
    network.stem = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
    )
    network.head = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1))
    halves = split(network.train(), "block")
    features = halves.encode(torch.rand(2, 3, 24, 32))
    before, behind = network.stem[1].running_mean.clone(), network.head[0].running_mean.clone()
    halves.decode(features, (24, 32))
    assert torch.equal(network.stem[1].running_mean, before)
    assert not torch.equal(network.head[0].running_mean, behind)
    assert all(module.training for module in network.modules())
