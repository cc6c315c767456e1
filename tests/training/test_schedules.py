import pytest
import torch
from torch import nn

from tessella.dilation import LearnableDilatedConv2d
from tessella.training.schedules import adamw, parameter_groups, poly, sgd


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)


def test_heads_are_faster_and_only_weights_decay() -> None:
    groups = {group["name"]: group for group in parameter_groups(Net(), 0.1, 10.0, 1e-4)}
    assert {
        name: (group["lr"], group["weight_decay"], len(group["params"])) for name, group in groups.items()
    } == {
        "backbone": (0.1, 1e-4, 1),
        "backbone, no decay": (0.1, 0.0, 3),
        "head": (1.0, 1e-4, 1),
        "head, no decay": (1.0, 0.0, 1),
    }


def test_every_parameter_is_in_one_group() -> None:
    network = Net()
    grouped = [id(p) for group in parameter_groups(network, 0.1, 10.0, 1e-4) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_without_a_backbone_there_is_one_rate_and_frozen_parameters_are_left_out() -> None:
    network = nn.Conv2d(3, 2, 1)
    network.bias.requires_grad_(False)
    (group,) = parameter_groups(network, 0.1, 10.0, 1e-4)
    assert group["lr"] == 0.1


@pytest.mark.parametrize("make", [sgd, adamw])
def test_poly_rate_of_every_group(make) -> None:
    optimizer = make(parameter_groups(Net(), 0.1, 10.0, 1e-4))
    schedule = poly(optimizer, steps=100, power=0.9, warmup=4)
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert rates[0][0] == pytest.approx(0.1 / 5)
    assert rates[3][0] == pytest.approx(0.1 * 4 / 5)
    assert rates[50][0] == pytest.approx(0.1 * 0.5**0.9)
    assert rates[99][0] == pytest.approx(0.1 * 0.01**0.9)
    assert all(rate[2] == pytest.approx(10 * rate[0]) for rate in rates)
    assert torch.tensor(rates).min() > 0


def test_learned_dilation_has_a_rate_of_its_own_and_no_decay():
    network = nn.Sequential(LearnableDilatedConv2d(4, 4, 3, padding=2), nn.Conv2d(4, 2, 1))
    groups = {group["name"]: group for group in parameter_groups(network, 0.1, 10.0, 1e-4, 5.0)}
    assert groups["dilation"]["params"] == [network[0].dilation_factors]
    assert (groups["dilation"]["lr"], groups["dilation"]["weight_decay"]) == (5.0, 0.0)
    counted = sum(len(group["params"]) for group in groups.values())
    assert counted == len(list(network.parameters()))
    left = parameter_groups(network, 0.1, 10.0, 1e-4, 0.0)
    assert sum(len(group["params"]) for group in left) == counted - 1
