"""Anyone's model with learnable dilation, without touching its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from tessella.dilation.layer import Initial, LearnableDilatedConv2d, require_range
from tessella.errors import InputError

Ranges = Mapping[int, tuple[float, float]]
"""Dilation of the layers to convert, to the range that their factors may take."""

RANGES: Ranges = {2: (1, 4), 4: (1, 8), 6: (1, 11), 12: (7, 17), 18: (13, 23), 24: (19, 29)}
"""The ranges of the thesis for DeepLab-v2 and PSPNet (section 4.2.3)."""


@dataclass(frozen=True)
class Decision:
    """What happens to one convolution: it becomes learnable in ``range``, or stays as it is for ``reason``."""

    name: str
    dilation: tuple[int, ...]
    range: tuple[float, float] | None
    reason: str = ""

    def __str__(self) -> str:
        dilation = "x".join(map(str, dict.fromkeys(self.dilation)))
        what = f"learnable in {self.range}" if self.range else f"left alone: {self.reason}"
        return f"{self.name}, dilation {dilation}: {what}"


def plan_conversion(
    model: nn.Module, ranges: Ranges = RANGES, within: Sequence[str] = ("",)
) -> list[Decision]:
    """What ``make_dilation_learnable`` would do with every convolution that is dilated or has a range.

    within: prefixes of the names of the layers to look at.
    Raises InputError if a range does not contain its dilation, is below 1 or upside down.
    """
    for dilation, dilation_range in ranges.items():
        require_range(dilation, dilation_range)
    decisions = []
    seen: set[nn.Module] = set()  # a layer may have several names, of which some are within
    for name, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, nn.modules.conv._ConvNd) or not name.startswith(tuple(within)):
            continue
        if module in seen:
            continue
        seen.add(module)
        steps = tuple(module.dilation)
        if any(step in ranges for step in steps) or max(steps) > 1:
            reason = _refusal(module, ranges)
            chosen = None if reason else ranges[_step(module)]
            decisions.append(Decision(name, steps, chosen, reason))
    return decisions


def make_dilation_learnable(
    model: nn.Module,
    ranges: Ranges = RANGES,
    *,
    within: Sequence[str] = ("",),
    initial: Initial | Mapping[str, float | Sequence[float] | Tensor] = "constant",
    per_channel: bool = True,
) -> nn.Module:
    """Replace dilated convolutions of ``model`` by learnable ones, in place; ``plan_conversion`` says which and why.

    Weights stay the same parameters, so an optimiser keeps them; add ``dilation_parameters(model)`` to it. The
    output is unchanged, exactly so in float64, as long as the factors are the layers' own dilations.

    initial: "constant" begins at each layer's own dilation, "uniform" anywhere in its range, a number at that number;
        a mapping gives a number, or one for each input channel, to the layers that it names, the others begin at
        their own.
    per_channel: False learns one factor for each layer.
    Returns the model (another module only where it is itself such a convolution).
    Raises InputError where nothing can be converted, ``initial`` lies outside a range or names no converted layer.
    """
    decisions = plan_conversion(model, ranges, within)
    converted = {decision.name for decision in decisions if decision.range}
    if not converted:
        why = "; ".join(map(str, decisions[:4])) or "it has no dilated convolution"
        raise InputError(f"{type(model).__name__}: no convolution can be made learnable: {why}")
    own = initial if isinstance(initial, Mapping) else {}
    if unknown := own.keys() - converted:
        raise InputError(
            f"initial factor for {', '.join(sorted(unknown))}: give it to one of {', '.join(sorted(converted))}"
        )
    common: Initial = "constant" if isinstance(initial, Mapping) else initial
    modules = list(model.named_modules(remove_duplicate=False))
    layers: dict[nn.Module, LearnableDilatedConv2d] = {}
    for name, module in modules:
        if name in converted:
            assert isinstance(module, nn.Conv2d)
            layers[module] = _learnable(module, ranges[_step(module)], own.get(name, common), per_channel)
    for name, module in modules:
        if module in layers:
            if not name:
                return layers[module]
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, layers[module])
    return model


def _learnable(
    old: nn.Conv2d, dilation_range: tuple[float, float], initial: Initial, per_channel: bool
) -> LearnableDilatedConv2d:
    new = LearnableDilatedConv2d(
        old.in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        _padding(old),
        _step(old),
        old.groups,
        bias=False,
        dilation_range=dilation_range,
        initial=initial,
        per_channel=per_channel,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    new.weight, new.bias = old.weight, old.bias
    vars(new).update(
        {name: value for name, value in vars(old).items() if name not in vars(new)}
    )  # others' notes
    return new.train(old.training)


def _refusal(layer: nn.Module, ranges: Ranges) -> str:
    """Why a convolution cannot be converted; empty if it can."""
    if isinstance(layer, LearnableDilatedConv2d):
        return "it is learnable already"
    if not isinstance(layer, nn.Conv2d):
        return f"{type(layer).__name__} is not a two-dimensional convolution"
    if isinstance(layer, LazyModuleMixin):
        return "its size is not known yet; run the model once before"
    if is_parametrized(layer) or "weight" not in layer._parameters:
        return "its weight is computed anew for every call"
    own = type(layer)
    if any(getattr(own, name) is not getattr(nn.Conv2d, name) or name in vars(layer) for name in _COMPUTES):
        return f"{own.__name__} computes its output in a way of its own"
    if any(hooks for name, hooks in vars(layer).items() if name.endswith("_hooks")):
        return "it has hooks; convert before they are set"
    if more := _more_than_a_convolution(layer):
        return (
            f"{own.__name__} has more than a convolution, which the model may use: {', '.join(sorted(more))}"
        )
    if layer.padding_mode != "zeros":
        return f"its border is filled by {layer.padding_mode}, not by zeros"
    if max(layer.kernel_size) == 1:
        return "a kernel of one pixel has no dilation"
    if len(_steps(layer)) > 1:
        return "its dilation differs between height and width, which share one factor"
    if _step(layer) not in ranges:
        return f"no range is given for dilation {_step(layer)}"
    if layer.padding == "same" and any(_step(layer) * (k - 1) % 2 for k in layer.kernel_size):
        return "padding 'same' pads one side more than the other"
    return ""


_COMPUTES = (
    *("forward", "_conv_forward", "__call__", "_wrapped_call_impl", "_call_impl", "_compiled_call_impl"),
    "__getattr__",
)
"""What decides a layer's output, in its class or set on the layer itself."""


def _more_than_a_convolution(layer: nn.Conv2d) -> set[str]:
    """Names of tensors and modules in it, and of what its class adds."""
    tensors = {*layer._parameters, *layer._buffers, *layer._modules} - {"weight", "bias"}
    return tensors | {
        name for name in dir(type(layer)) if not name.startswith("__") and not hasattr(nn.Conv2d, name)
    }


def _steps(layer: nn.Conv2d) -> set[int]:
    """The dilations of the axes along which the kernel has more than one tap."""
    return {step for step, taps in zip(layer.dilation, layer.kernel_size, strict=True) if taps > 1}


def _step(layer: nn.Module) -> int:
    assert isinstance(layer, nn.Conv2d)
    return max(_steps(layer))


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    """In pixels, where the layer gives it as a word."""
    if layer.padding == "valid":
        return (0, 0)
    if layer.padding == "same":
        height, width = (_step(layer) * (taps - 1) // 2 for taps in layer.kernel_size)
        return (height, width)
    return layer.padding  # type: ignore[return-value]


def dilation_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The dilation factors of all learnable layers, each once."""
    return [layer.dilation_factors for layer in model.modules() if isinstance(layer, LearnableDilatedConv2d)]


def parameter_groups(
    model: nn.Module, learning_rate: float, dilation_learning_rate: float, weight_decay: float = 0.0
) -> list[dict]:
    """Groups for any optimiser: the factors at a rate of their own without decay, everything else as usual.

    The factors' gradients are small beside their range: the authors' plain gradient descent gave them 200,000 times
    the rate of the weights (200 for a mean loss). Adam's steps are as long as its rate: with 0.01 a factor can move by
    one in a hundred steps.
    """
    factors = dilation_parameters(model)
    chosen = {id(factor) for factor in factors}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    return [
        {"params": others, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": factors, "lr": dilation_learning_rate, "weight_decay": 0.0, "name": "dilation"},
    ]
