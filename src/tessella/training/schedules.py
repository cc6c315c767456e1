"""Optimisers with rates of their own for the heads and for learned dilation, and the "poly" rate."""

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from tessella.dilation import dilation_parameters


def parameter_groups(
    network: nn.Module,
    learning_rate: float,
    head_factor: float,
    weight_decay: float,
    dilation_learning_rate: float = 0.0,
) -> list[dict]:
    """Groups for an optimiser: the backbone at ``learning_rate``, everything else ``head_factor`` times faster.

    Biases and the scales of normalisation layers (all one-dimensional parameters) do not decay. Learned dilation
    factors have a rate of their own and do not decay; at a rate of zero they are left out, and stay as they are.
    """
    backbone = getattr(network, "backbone", None)
    in_backbone = {id(p) for p in backbone.parameters()} if backbone is not None else set()
    factors = dilation_parameters(network)
    known = {id(p) for p in factors}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad and id(parameter) not in known:
            key = (id(parameter) in in_backbone, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    # Without a backbone there is nothing that the head could be faster than.
    factor = {True: 1.0, False: head_factor if in_backbone else 1.0}
    result = [
        {
            "params": parameters,
            "lr": learning_rate * factor[is_backbone],
            "weight_decay": weight_decay if decays else 0.0,
            "name": ("backbone" if is_backbone else "head") + ("" if decays else ", no decay"),
        }
        for (is_backbone, decays), parameters in groups.items()
    ]
    if factors and dilation_learning_rate > 0:
        result.append(
            {"params": factors, "lr": dilation_learning_rate, "weight_decay": 0.0, "name": "dilation"}
        )
    return result


def poly(optimizer: Optimizer, steps: int, power: float = 0.9, warmup: int = 0) -> LambdaLR:
    """The "poly" rate (Chen et al. 2017): base * (1 - step / steps) ** power, after ``warmup`` steps of rise."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, 1 - step / steps) ** power

    return LambdaLR(optimizer, factor)


def sgd(groups: list[dict]) -> Optimizer:
    """Stochastic gradient descent with a momentum of 0.9; rate and decay come with the groups."""
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, fused=True)


def adamw(groups: list[dict]) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019); rate and decay come with the groups."""
    return torch.optim.AdamW(groups, lr=1e-3, fused=True)
