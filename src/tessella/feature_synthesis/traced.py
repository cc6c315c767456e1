"""A network cut in its traced graph."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from tessella.errors import InputError

Runs = Callable[..., Any]


class Traced:
    """``encode`` and ``decode_all`` of a ``Split``.

    What a network does may depend on its mode: it is traced in each when that is asked for first.

    Raises InputError as ``split`` says.
    """

    def __init__(self, whole: nn.Module, at: str, side: str) -> None:
        self.whole, self.at, self.side = whole, at, side
        self._by_mode: dict[bool, tuple[Runs, Runs] | None] = {}

    def halves(self) -> tuple[Runs, Runs] | None:
        """None where the network's code cannot be traced."""
        network: nn.Module = self.whole.network  # type: ignore[assignment]
        if network.training not in self._by_mode:
            try:
                graph = _Tracer(f"network.{self.at}").trace(self.whole)
            except Exception:  # as many kinds as there are networks
                self._by_mode[network.training] = None
            else:
                self._by_mode[network.training] = _halves(self.whole, graph, self.at, self.side)
        return self._by_mode[network.training]

    def encode(self, images: Tensor) -> Tensor:
        halves = self.halves()
        assert halves is not None
        return one_map(halves[0](images), self.at)

    def decode_all(self, features: Tensor, size: tuple[int, int]) -> Any:
        halves = self.halves()
        assert halves is not None
        # Of the image the decoder asks nothing but its size; one number, expanded, has it without the memory, and shows
        # where it is asked for more. Features are copied, since a rectifier that comes first may work in place.
        image = features.new_full((1,), torch.nan).expand(features.shape[0], 1, *size)
        return halves[1](features.clone(), image)


class _Tracer(fx.Tracer):
    """Looks into the modules that hold the cut, and takes every other one as it is, whatever code it runs."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not self.at.startswith(f"{module_qualified_name}.")


def _halves(whole: nn.Module, graph: fx.Graph, at: str, side: str) -> tuple[Runs, Runs]:
    """Images to features; features, and anything of the images' size, to logits and auxiliary logits."""
    nodes = list(graph.nodes)
    calls = [node for node in nodes if node.op == "call_module" and node.target == f"network.{at}"]
    if not calls:
        raise InputError(f"{at}: the network's forward pass does not call this layer")
    cut = calls[-1] if side == "output" else calls[-1].all_input_nodes[0]
    image = next(node for node in nodes if node.op == "placeholder")
    by_size = _known_by_size(nodes, image)
    if cut is image:
        return lambda images: images, lambda features, _: whole(features)
    behind = _followers(nodes, {cut})
    of_image = _followers(nodes, {image}) | {image}

    logits, auxiliary = next(node for node in nodes if node.op == "output").args[0]
    require_logits(logits, fx.Node)
    outputs = [node for node in (logits, *auxiliary) if node in behind]
    needed = _leading_to(outputs, stop={cut, image})
    # A module that is not looked into may be given the image for its size.
    used = {
        n
        for node in needed & behind
        for n in node.all_input_nodes
        if n is not image or node.op != "call_module"
    }
    skipping = [node for node in nodes if node in (used & of_image) - behind - by_size - {cut}]
    if logits not in behind or skipping:
        names = " and ".join(_name(node) for node in skipping) or "another branch"
        raise InputError(
            f"{at}: {names} also reaches what follows (a skip connection): cut where one map holds all that the rest "
            "of the network sees"
        )

    encoder = _part(whole, nodes, {image: "image"}, _leading_to([cut], stop={image}), cut)
    answer = (logits, tuple(node for node in auxiliary if node in behind))
    decoder = _part(whole, nodes, {cut: "features", image: "size_of"}, needed, answer)

    return encoder, decoder


def one_map(features: Any, at: str) -> Tensor:
    """Raises InputError where it is not [B, F, h, w]."""
    if not isinstance(features, Tensor) or features.ndim != 4:
        what = f"a tensor {list(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise InputError(f"{at} gives {what}, not one map [batch, channels, height, width]: cut elsewhere")
    return features


def require_logits(answer: Any, kind: type) -> None:
    """Raises InputError where a network's answer is not a ``kind``, which stands for one map of logits."""
    if not isinstance(answer, kind):
        known = isinstance(answer, Mapping)
        what = f"a dictionary of {', '.join(map(str, answer))}" if known else f"a {type(answer).__name__}"
        raise InputError(
            f"the network gives {what}, not logits [batch, classes, height, width]: split "
            "tessella.networks.adapters.as_network(network), which takes the logits out of it; its layers are named "
            "wrapped.LAYER"
        )


def _followers(nodes: Iterable[fx.Node], first: set[fx.Node]) -> set[fx.Node]:
    """Those that depend on one of ``first``; nodes are in the order of computation."""
    found: set[fx.Node] = set()
    for node in nodes:
        if any(n in first or n in found for n in node.all_input_nodes):
            found.add(node)
    return found


def _leading_to(outputs: Iterable[fx.Node], stop: set[fx.Node]) -> set[fx.Node]:
    """What must be computed for ``outputs``, from ``stop`` on, those left out."""
    found: set[fx.Node] = set()
    queue = list(outputs)
    while queue:
        node = queue.pop()
        if node not in found and node not in stop:
            found.add(node)
            queue += node.all_input_nodes
    return found


def _known_by_size(nodes: Iterable[fx.Node], image: fx.Node) -> set[fx.Node]:
    """What follows from the image's size alone, which may cross the cut; its colours may not."""
    known: set[fx.Node] = set()
    for node in nodes:
        of_image = bool(node.args) and node.args[0] is image
        asks = of_image and (
            (node.target is getattr and node.args[1] in ("shape", "ndim")) or node.target in ("size", "dim")
        )
        inputs = node.all_input_nodes
        if asks or (inputs and all(n in known for n in inputs)):
            known.add(node)
    return known


def _part(
    whole: nn.Module, nodes: Iterable[fx.Node], given: dict[fx.Node, str], kept: set[fx.Node], output: Any
) -> Runs:
    graph = fx.Graph()
    copies = {node: graph.placeholder(name) for node, name in given.items()}
    for node in nodes:
        if node in kept:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(fx.node.map_arg(output, copies.__getitem__))
    graph.lint()
    module = fx.GraphModule(whole, graph)
    # Modules are shared; tensors that the network's own code names are not, and one may since have been replaced, as
    # moving to another device does.
    named = [str(node.target) for node in graph.nodes if node.op == "get_attr"]

    def run(*arguments: Any) -> Any:
        for name in named:
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, getattr(whole.get_submodule(owner), last))
        return module(*arguments)

    return run


def _name(node: fx.Node) -> str:
    if node.op == "placeholder":
        return "the image"
    return str(node.target).removeprefix("network.") if node.op == "call_module" else node.name
