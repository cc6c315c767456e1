"""Weights of a file into a network, also where the two do not quite match."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.public_pspnet import rename_public_pspnet
from tessella.networks.weight_files import read_weights, some

MINIMUM_FIT = 0.75
"""Share of tensors that must find their place. Under right names and shapes, a ResNet-18 file fills 0.56 of a
ResNet-34 and a ResNet-50 file 0.51 of a ResNet-101; an ImageNet VGG-16 file has 0.81 of its tensors in the
convolutions."""

MINIMUM_PART = 0.2
"""Share of a file's tensors below which a part of it, such as ``backbone.``, is not looked at on its own."""


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor of the network and of the file; names are the network's unless said.

    source: the file. part: prefix of the network that was loaded, e.g. ``"backbone."``; ``""`` is all of it.
    loaded: copied, including those adapted. adapted: name to what was done. reset: in the file with another
    shape (another number of classes, dense layers of another size), so left as they were. missing: not in the
    file, left as they were. unexpected: names in the file that the network has not.
    """

    source: str
    part: str
    loaded: tuple[str, ...]
    adapted: Mapping[str, str]
    reset: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def exact(self) -> bool:
        return not (self.adapted or self.reset or self.missing or self.unexpected)

    def __str__(self) -> str:
        where = f" into {self.part.rstrip('.')}" if self.part else ""
        lines = [f"{self.source}: {len(self.loaded)} tensors loaded{where}"]
        for title, names in (
            ("adapted", [f"{name} ({what})" for name, what in self.adapted.items()]),
            ("left as they were, of other shape", [f"{name} ({what})" for name, what in self.reset.items()]),
            ("left as they were, not in the file", self.missing),
            ("in the file alone", self.unexpected),
        ):
            if names:
                lines.append(f"  {title}: {some(names)}")
        return "\n".join(lines)


def load_weights(network: nn.Module, source: str | Path, *, strict: bool = True) -> LoadReport:
    """Copy the weights in ``source`` into ``network``.

    source: a file (``.pth``, ``.pt``, ``.ckpt``, ``.safetensors``, ...) or ``hf:owner/repo/path/in/repo`` or
        ``hf:owner/repo@revision/path/in/repo`` on the Hugging Face hub. Nothing in the file is executed.
        Prefixes around the names (``module.``, ``network.``, ``model.backbone.``) are found by themselves, on
        both sides; a file of a backbone alone goes to ``network.backbone``, and to each of its streams where
        that is an ``nn.ModuleDict``.
    strict: every tensor of the network must be in the file with its shape, and no other. False fine-tunes:

        - tensors that differ only in the number of classes keep the network's values;
        - a first convolution for another number of channels is adapted by ``inflate_channels``;
        - a dense layer is reshaped where the network has the convolution that computes the same;
        - what is missing in the file keeps the network's values, what is left over is not used.

    Returns what was done with every tensor; print it.
    Raises InputError if the file cannot be read, is of another network (less than ``MINIMUM_FIT`` of the
    tensors find their place), holds NaN, or, when strict, does not match exactly.
    """
    weights = read_weights(source)
    state = network.state_dict()
    renamed = rename_public_pspnet(weights)
    matches = [
        _Match(names, state, *scopes)
        for names in ([weights, renamed] if renamed else [weights])
        for scopes in _scopes(names, state, network)
    ]
    matches.sort(key=lambda match: len(match.loaded), reverse=True)  # stable: the largest scope of equals
    match = next((match for match in matches if match.fits), None)
    if match is None:
        raise InputError(f"{source}: {matches[0].misfit()}")
    diverged = next(
        (n for n, t in match.loaded.items() if t.is_floating_point() and not t.isfinite().all()), None
    )
    if diverged is not None:
        raise InputError(f"{source}: {diverged} holds NaN or infinity; take a checkpoint from before")

    report = LoadReport(
        source=str(source),
        part=match.part,
        loaded=tuple(match.loaded),
        adapted=match.adapted,
        reset=match.other_shape,
        missing=tuple(name for name in state if name not in match.found and not _is_counter(name)),
        unexpected=match.unexpected(),
    )
    if strict and not report.exact:
        raise InputError(
            f"{'; '.join(line.strip() for line in str(report).splitlines())}; "
            "for fine-tuning, where this is meant, give strict=False"
        )
    network.load_state_dict(match.loaded, strict=False)
    return report


def inflate_channels(weight: Tensor, channels: int) -> Tensor:
    """Weight [out, in, kh, kw] of a convolution for another number of input channels.

    More channels (colour to colour + HHA): the first keep their filters, each new one gets their mean, so an
    input that is zero (the mean, after normalisation) in the new channels gives what it gave before. Fewer
    channels, or one to several: each gets the sum of the filters divided by ``channels``, so an input that is
    the same in all channels (grey) gives what it gave before.
    """
    old = weight.shape[1]
    if old == 1 or channels < old:
        return (weight.sum(dim=1, keepdim=True) / channels).expand(-1, channels, -1, -1).contiguous()
    mean = weight.mean(dim=1, keepdim=True).expand(-1, channels - old, -1, -1)
    return torch.cat([weight, mean], dim=1)


def dense_as_convolution(weight: Tensor, kernel: tuple[int, ...]) -> Tensor | None:
    """Weight [out, in] of a dense layer on a flattened map as that of the convolution that computes the same.

    kernel: shape [out, channels, kh, kw] of the convolution's weight. None if the layer is on another map.
    """
    if weight.ndim != 2 or len(kernel) != 4 or weight.shape != (kernel[0], math.prod(kernel[1:])):
        return None
    return weight.reshape(kernel)


def _is_counter(name: str) -> bool:
    """Batch normalisation's count of batches: absent in files from before 2018, and of no consequence."""
    return name.endswith("num_batches_tracked")


def _backbone_prefix(network: nn.Module) -> str:
    backbone = getattr(network, "backbone", None)
    return next((f"{name}." for name, part in network.named_modules() if part is backbone and name), "")


def _prefixes(name: str) -> list[str]:
    """``["", "a.", "a.b."]`` of ``"a.b.weight"``."""
    return ["", *(name[: dot.end()] for dot in re.finditer(r"\.", name))]


def _scopes(
    weights: Mapping[str, Tensor], state: Mapping[str, Tensor], network: nn.Module
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Prefixes in the file and in the network under which the two may agree, the shortest first.

    In the network: all of it, its backbone, each stream of its backbone, and what lies around these. In the
    file: all of it, and every part with a fair share of the tensors.
    """
    in_file = Counter(prefix for name in weights for prefix in _prefixes(name))
    sources = [prefix for prefix, count in in_file.items() if count >= MINIMUM_PART * len(weights)]
    in_network = Counter(prefix for name in state for prefix in _prefixes(name))
    backbone = _backbone_prefix(network)
    targets = {prefix for prefix, count in in_network.items() if count == len(state)} | set(
        _prefixes(backbone)
    )
    scopes: list[tuple[str, str, tuple[str, ...]]] = [(a, b, ("",)) for a in sources for b in targets]
    scopes.sort(key=lambda scope: len(scope[0] + scope[1]))
    streams = getattr(network, "backbone", None)
    if isinstance(streams, nn.ModuleDict):
        scopes += [(a, backbone, tuple(f"{stream}." for stream in streams)) for a in sources]
    return scopes


class _Match:
    """Which tensors of a file under ``prefix`` fit which of a network's under ``part``, by name and shape.

    streams: prefixes under ``part`` that each take all of the file; ``("",)`` for ``part`` itself.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        prefix: str,
        part: str,
        streams: tuple[str, ...],
    ) -> None:
        self.weights, self.state = weights, state
        self.prefix, self.part, self.streams = prefix, part, streams
        self.found = {place: tensor for name, tensor in weights.items() for place in self.places(name)}
        self.loaded: dict[str, Tensor] = {}
        self.adapted: dict[str, str] = {}
        self.other_shape: dict[str, str] = {}
        self.changed_sizes: set[tuple[int, int]] = set()
        parts = tuple(part + stream for stream in streams)
        self.wanted = [name for name in state if name.startswith(parts) and not _is_counter(name)]
        first_convolutions = {_first_convolution(state, scope) for scope in ("", *parts)}
        for name in state:
            if name not in self.found:
                continue
            tensor, old, new = self.found[name], self.found[name].shape, state[name].shape
            if old == new:
                self.loaded[name] = tensor
            elif name in first_convolutions and old[0] == new[0] and old[2:] == new[2:]:
                self.loaded[name] = inflate_channels(tensor, new[1])
                self.adapted[name] = f"{old[1]} -> {new[1]} input channels"
            elif (convolution := dense_as_convolution(tensor, new)) is not None:
                self.loaded[name] = convolution
                self.adapted[name] = f"dense layer as {new[2]}x{new[3]} convolution"
            else:
                self.other_shape[name] = f"{list(old)} in the file, {list(new)} in the network"
                if len(old) == len(new):  # a layer of another kind says nothing about the number of classes
                    self.changed_sizes |= {(a, b) for a, b in zip(old, new, strict=True) if a != b}

    def places(self, name: str) -> list[str]:
        """The network's names for the file's tensor ``name``; none outside ``prefix``."""
        if not name.startswith(self.prefix):
            return []
        return [self.part + stream + name[len(self.prefix) :] for stream in self.streams]

    def unexpected(self) -> tuple[str, ...]:
        """Names in the file that the network has not."""
        return tuple(n for n in self.weights if not any(place in self.state for place in self.places(n)))

    @property
    def fits(self) -> bool:
        """Enough tensors find a place; the few of another shape differ by one number alone, as classes do."""
        loaded = sum(not _is_counter(name) for name in self.loaded)
        places = loaded + len(self.other_shape)
        available = sum(not _is_counter(name) for name in self.found)
        enough = places >= MINIMUM_FIT * max(available, len(self.wanted))
        return enough and loaded > len(self.other_shape) and len(self.changed_sizes) <= 1

    def misfit(self) -> str:
        """Why not, with the first differences."""
        strangers = [name for name in self.found if name not in self.wanted and not _is_counter(name)]
        absent = [name for name in self.wanted if name not in self.found]
        if not self.loaded and not self.other_shape:
            reason = "no name is the same: another network, or another library's"
        elif self.other_shape:
            reason = "same names, other shapes: another width, another backbone, or other kinds of layers"
        else:
            reason = "some layers agree, others are missing: another depth, or another head"
        examples = [f"{name} is {shapes}" for name, shapes in self.other_shape.items()][:2]
        examples += [f"{name} is not in the network" for name in strangers[:2]]
        examples += [f"{name} is not in the file" for name in absent[:2]]
        return (
            f"a checkpoint of another network, {len(self.loaded)} of its {len(self.found)} tensors fit into "
            f"one of {len(self.wanted)}: {', '.join(examples)} ({reason})"
        )


def _first_convolution(state: Mapping[str, Tensor], scope: str) -> str | None:
    return next((name for name, tensor in state.items() if tensor.ndim == 4 and name.startswith(scope)), None)
