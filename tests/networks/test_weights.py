"""Checkpoints as people have them, into networks that match them exactly, partly, or not at all."""

import argparse
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from tessella.errors import InputError
from tessella.networks.adapters import as_network
from tessella.networks.weight_files import read_weights
from tessella.networks.weights import inflate_channels, load_weights


class Network(nn.Module):
    """Backbone, head and auxiliary head, with the parts that checkpoints differ in."""

    def __init__(self, num_classes=5, in_channels=3, blocks=8, width=4):
        super().__init__()
        layers = []
        for index in range(blocks):
            layers += [nn.Conv2d(width if index else in_channels, width, 3, padding=1), nn.BatchNorm2d(width)]
        self.backbone = nn.Sequential(OrderedDict((f"layer{i}", layer) for i, layer in enumerate(layers)))
        self.head = nn.Conv2d(width, num_classes, 1)
        self.auxiliary = nn.Conv2d(width, num_classes, 1)

    def forward(self, image):
        return self.head(self.backbone(image))


def save(content, path):
    torch.save(content, path)
    return path


def assert_same(network, other):
    torch.testing.assert_close(network.state_dict(), other.state_dict(), rtol=0, atol=0)


WRAPPINGS = {
    "bare": lambda state: state,
    "training script": lambda state: {"epoch": 3, "model": state, "optimizer": {"state": {0: {}}}},
    "twice": lambda state: {"model": {"state_dict": state}},
    "DataParallel": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    "Lightning": lambda state: {
        "state_dict": {"loss.weight": torch.ones(5)} | {f"network.{k}": v for k, v in state.items()}
    },
    "compiled in DDP": lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrappings(tmp_path, wrapping):
    trained, network = Network(), Network()
    path = save(WRAPPINGS[wrapping](trained.state_dict()), tmp_path / "a.pth")
    report = load_weights(network, path, strict=wrapping != "Lightning")
    assert_same(network, trained)
    assert report.unexpected == (("loss.weight",) if wrapping == "Lightning" else ())
    assert not report.missing
    assert len(report.loaded) == len(trained.state_dict())
    assert str(report).startswith(f"{path}: 60 tensors loaded")


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    trained, network = Network(), Network()
    safetensors.save_file(trained.state_dict(), tmp_path / "a.safetensors")
    assert load_weights(network, tmp_path / "a.safetensors").exact
    assert_same(network, trained)
    (tmp_path / "b.safetensors").write_bytes(b"not this")
    with pytest.raises(InputError, match=r"b.safetensors: unreadable, damaged"):
        load_weights(network, tmp_path / "b.safetensors")


def test_wrapped_model_both_ways(tmp_path):
    trained = Network()
    network = as_network(Network())
    report = load_weights(network, save(trained.state_dict(), tmp_path / "a.pth"))
    assert report.part == "wrapped."
    assert_same(network.wrapped, trained)
    plain = Network()
    load_weights(plain, save(network.state_dict(), tmp_path / "b.pth"))
    assert_same(plain, trained)


def test_backbone_file_into_network(tmp_path):
    trained, network = Network(), Network()
    head = network.head.weight.clone()
    state = trained.backbone.state_dict() | {"fc.weight": torch.ones(1000, 4), "fc.bias": torch.ones(1000)}
    path = save(state, tmp_path / "imagenet.pth")
    with pytest.raises(InputError, match=r"in the file alone: fc.weight, fc.bias; .*strict=False"):
        load_weights(network, path)
    report = load_weights(network, path, strict=False)
    assert_same(network.backbone, trained.backbone)
    torch.testing.assert_close(network.head.weight, head)
    assert report.part == "backbone."
    assert report.unexpected == ("fc.weight", "fc.bias")
    assert report.missing == ("head.weight", "head.bias", "auxiliary.weight", "auxiliary.bias")
    assert "into backbone" in str(report)
    assert "left as they were, not in the file: head.weight" in str(report)


def test_backbone_file_into_adapted_network_and_network_file_into_backbone(tmp_path):
    trained, network, alone = Network(), as_network(Network()), Network().backbone
    load_weights(network, save(trained.backbone.state_dict(), tmp_path / "a.pth"), strict=False)
    assert_same(network.backbone, trained.backbone)
    report = load_weights(alone, save(trained.state_dict(), tmp_path / "b.pth"), strict=False)
    assert_same(alone, trained.backbone)
    assert not report.missing


def test_same_backbone_under_another_head(tmp_path):
    trained, network = Network(), Network()
    network.head = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(9)))
    trained.auxiliary = nn.Conv2d(4, 16, 3)
    report = load_weights(network, save(trained.state_dict(), tmp_path / "a.pth"), strict=False)
    assert_same(network.backbone, trained.backbone)
    assert "head.weight" in report.unexpected
    assert "head.0.weight" in report.missing


def test_old_files_without_batch_counts(tmp_path):
    trained, network = Network(), Network()
    state = {k: v for k, v in trained.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert load_weights(network, save(state, tmp_path / "a.pth")).exact
    assert_same(network, trained)


def test_another_number_of_classes(tmp_path):
    trained, network = Network(num_classes=21), Network(num_classes=11)
    before = network.head.weight.clone()
    path = save(trained.state_dict(), tmp_path / "a.pth")
    with pytest.raises(
        InputError, match=r"head.weight \(\[21, 4, 1, 1\] in the file, \[11, 4, 1, 1\]"
    ) as caught:
        load_weights(network, path)
    assert "\n" not in str(caught.value)
    report = load_weights(network, path, strict=False)
    assert list(report.reset) == ["head.weight", "head.bias", "auxiliary.weight", "auxiliary.bias"]
    torch.testing.assert_close(network.head.weight, before)
    assert_same(network.backbone, trained.backbone)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_another_number_of_channels(tmp_path, channels):
    trained, network = Network().eval(), Network(in_channels=channels).eval()
    path = save(trained.state_dict(), tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"3 -> {channels} input channels"):
        load_weights(network, path)
    report = load_weights(network, path, strict=False)
    assert report.adapted == {"backbone.layer0.weight": f"3 -> {channels} input channels"}
    if channels > 3:
        image = torch.randn(1, 3, 8, 8)
        padded = torch.cat([image, torch.zeros(1, channels - 3, 8, 8)], dim=1)
        torch.testing.assert_close(network(padded), trained(image))
    else:
        grey = torch.randn(1, 1, 8, 8)
        expected = trained(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(network(grey.expand(-1, channels, -1, -1)), expected)


def test_inflate_channels_by_hand():
    weight = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    assert inflate_channels(weight, 5).flatten().tolist() == [1, 2, 6, 3, 3]
    assert inflate_channels(weight, 1).flatten().tolist() == [9]
    assert inflate_channels(weight, 2).flatten().tolist() == [4.5, 4.5]
    assert inflate_channels(weight[:, :1], 2).flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Network(blocks=4), r"32 of its 32 tensors fit into one of 52.*not in the file.*another depth"),
        (Network(blocks=16), r"another depth"),
        (Network(width=8), r"\[8, 3, 3, 3\] in the file, \[4, 3, 3, 3\] in the network.*another width"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 5)), "0 of its 4 tensors fit.*no name is the same"),
    ],
)
def test_another_network(tmp_path, other, message):
    network = Network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match=message) as caught:
        load_weights(network, save(other.state_dict(), tmp_path / "a.pth"), strict=False)
    assert str(caught.value).startswith(f"{tmp_path / 'a.pth'}: a checkpoint of another network")
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(network.state_dict(), before)


def test_diverged(tmp_path):
    state = Network().state_dict()
    state["head.bias"][0] = torch.nan
    with pytest.raises(InputError, match=r"head.bias holds NaN"):
        load_weights(Network(), save(state, tmp_path / "a.pth"))


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def test_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save({"model": Network().state_dict(), "extra": Harmful()}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"executes code when read"):
        load_weights(Network(), path)
    assert not Path("executed").exists()
    save({"model": Network().state_dict(), "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(InputError, match=r"argparse.Namespace.*weights_only=False"):
        load_weights(Network(), path)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"missing.pth: no such file"):
        read_weights(tmp_path / "missing.pth")
    whole = save(Network().state_dict(), tmp_path / "whole.pth").read_bytes()
    contents = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"<html>404</html>",
        "noise": b"\x80\x02}",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.pth: unreadable, damaged, or not a file of weights"):
            read_weights(path)
    with pytest.raises(InputError, match="holds a list"):
        read_weights(save([1, 2], tmp_path / "list.pth"))
    with pytest.raises(InputError, match=r"holds no weights, only epoch, optimizer; store"):
        read_weights(save({"epoch": 3, "optimizer": {}}, tmp_path / "epoch.pth"))


def test_hub(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    trained, network = Network(), Network()
    path = save(trained.state_dict(), tmp_path / "a.bin")
    asked = []
    monkeypatch.setattr(
        hub, "hf_hub_download", lambda repo, file, revision: asked.append((repo, file, revision)) or path
    )
    assert load_weights(network, "hf:owner/repo/folder/a.bin").exact
    assert load_weights(network, "hf:owner/repo@v1.0/a.bin").exact
    assert asked == [("owner/repo", "folder/a.bin", None), ("owner/repo", "a.bin", "v1.0")]
    assert_same(network, trained)
    with pytest.raises(InputError, match=r"hf:repo/a.bin: write hf:owner/repo"):
        load_weights(network, "hf:repo/a.bin")


def test_hub_out_of_reach(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="the hub cannot be reached") as caught:
        load_weights(Network(), "hf:owner/repo/a.bin")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("EntryNotFoundError", "not on the hub, or private"),
        ("HFValidationError", r"not fetched \(first\)"),
    ],
)
def test_hub_refuses(monkeypatch, error, message):
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*args, **kwargs):
        raise getattr(hub.errors, error)("first\nsecond")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(InputError, match=message):
        load_weights(Network(), "hf:owner/repo/a.bin")
