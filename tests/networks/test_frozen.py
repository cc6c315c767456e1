"""Frozen stages: nothing of them learns, and their maps are computed once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from tessella.errors import InputError
from tessella.networks import FCN, DeepLabV3Plus, PSPNet, ResNet, TwoStreamFCN, Xception, frozen
from tessella.networks.frozen import freeze_stages
from tessella.networks.vgg import VGG16

small_vgg = partial(VGG16, width=4, fc_channels=8, fc_kernel_size=3)


def small_pspnet() -> PSPNet:
    return PSPNet(3, backbone=partial(ResNet, depth=18, width=8), pyramid_channels=8, head_channels=8)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_output_is_the_same(stages: int) -> None:
    network, image = small_pspnet().eval(), torch.rand(2, 3, 48, 40)
    before = network(image)
    freeze_stages(network, stages)
    torch.testing.assert_close(network(image), before)


def test_frozen_stages_do_not_learn() -> None:
    network = small_pspnet().train()
    freeze_stages(network, 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    network(torch.rand(2, 3, 48, 40)).square().mean().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("backbone.layer4") for name in changed)
    frozen = ("backbone.conv1", "backbone.bn1", "backbone.layer1", "backbone.layer2", "backbone.layer3")
    assert not any(name.startswith(frozen) for name in changed)  # running statistics neither


def test_maps_are_computed_once(tmp_path: Path) -> None:
    network, images = small_pspnet().eval(), torch.rand(3, 3, 48, 40)
    expected = network(images)
    freeze_stages(network, 3, tmp_path)
    calls: list[int] = []
    network.backbone.layer1.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        torch.testing.assert_close(network(images), expected, rtol=1e-2, atol=1e-2)  # kept in float16
    assert len(calls) == 3
    assert len(list(tmp_path.glob("*.pt"))) == 3
    network(images[[2, 0]])
    assert len(calls) == 3


def test_other_weights_do_not_read_each_others_maps(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 48, 40)
    for _ in range(2):
        network = small_pspnet().eval()
        freeze_stages(network, 2, tmp_path)
        network(image)
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_weights_that_change_later_do_not_read_the_maps_of_those_before(tmp_path: Path) -> None:
    network, other, image = small_pspnet().eval(), small_pspnet().eval(), torch.rand(1, 3, 48, 40)
    freeze_stages(network, 2, tmp_path)
    network(image)
    network.load_state_dict(other.state_dict())
    torch.testing.assert_close(network(image), other(image), rtol=1e-2, atol=1e-2)
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_weights_are_read_once_while_they_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, counted = small_pspnet().eval(), []
    freeze_stages(network, 2, tmp_path)
    monkeypatch.setattr("tessella.networks.frozen._digest", partial(_count, counted, frozen._digest))
    for _ in range(3):
        network(torch.rand(1, 3, 48, 40))
    assert sorted(counted)[:3] == [1, 1, 1]  # the image alone
    assert len(counted) == 4


def _count(counted: list[int], digest: Callable[..., str], text: str, *tensors: torch.Tensor) -> str:
    counted.append(len(tensors))
    return digest(text, *tensors)


def test_the_same_weights_at_another_stride_have_other_maps(tmp_path: Path) -> None:
    image, state = torch.rand(1, 3, 48, 40), small_pspnet().backbone.state_dict()
    for stride in (8, 16):
        backbone = ResNet(18, 3, stride, width=8).eval()
        backbone.load_state_dict(state)
        expected = backbone(image)
        freeze_stages(backbone, 3, tmp_path)
        for kept, same in zip(backbone(image), expected, strict=True):
            torch.testing.assert_close(kept, same, rtol=1e-2, atol=1e-2)


def test_images_of_the_same_bytes_in_another_shape_or_type(tmp_path: Path) -> None:
    backbone, image = ResNet(18, 3, 8, width=8).eval(), torch.rand(1, 3, 48, 40)
    freeze_stages(backbone, 1, tmp_path)
    assert backbone(image)[0].shape[-2:] == (12, 10)
    assert backbone(image.view(1, 3, 40, 48))[0].shape[-2:] == (10, 12)
    zeros = torch.zeros(1, 3, 8, 8)
    backbone(zeros)
    assert backbone.double()(zeros.double())[0].dtype == torch.float64
    assert len(list(tmp_path.glob("*.pt"))) == 4


def test_bfloat16(tmp_path: Path) -> None:
    backbone, image = ResNet(18, 3, 8, width=8).eval().bfloat16(), torch.rand(1, 3, 48, 40).bfloat16()
    expected = backbone(image)
    freeze_stages(backbone, 3, tmp_path)
    for _ in range(2):
        torch.testing.assert_close(backbone(image), expected, rtol=2e-2, atol=2e-2)


def test_both_streams_are_frozen_and_gradients_reach_the_rest(tmp_path: Path) -> None:
    network = TwoStreamFCN(3, backbone=small_vgg)
    freeze_stages(network, 3, tmp_path)
    for _ in range(2):
        network.zero_grad()
        network(torch.rand(1, 6, 64, 64, generator=torch.Generator().manual_seed(0))).sum().backward()
    for stream in network.backbone.values():
        assert all(p.grad is None for p in stream.features[:24].parameters())
        assert all(p.grad is not None for p in stream.features[24:].parameters())
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_bad_input() -> None:
    with pytest.raises(InputError, match="1 to 3"):
        freeze_stages(FCN(3, backbone=small_vgg), 4)
    with pytest.raises(InputError, match="no backbone"):
        freeze_stages(DeepLabV3Plus(3, backbone=partial(Xception, width=8)), 2)
