"""A network cut by hooks, where its code cannot be traced."""

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.feature_synthesis.traced import one_map, require_logits


class _Reached(Exception):
    """The cut: nothing behind it is needed."""


class Hooked:
    """``encode`` and ``decode_all`` of a ``Split``. Decoding costs as much as the whole network.

    whole: images to logits and auxiliary logits. module: within it, named ``at`` in messages.
    """

    def __init__(self, whole: nn.Module, module: nn.Module, at: str, side: str) -> None:
        self.whole, self.module, self.at, self.side = whole, module, at, side
        self.channels = next((m.in_channels for m in whole.modules() if isinstance(m, nn.Conv2d)), 3)
        self.calls: int | None = None
        self.auxiliary: list[int] = []
        """Those heads that lie behind the cut."""
        self.before: list[nn.Module] = []
        """Modules that are done when the feature is there."""

    def encode(self, images: Tensor) -> Tensor:
        self._look(images)
        found: list[Any] = []

        def keep(feature: Any) -> Any:
            found.append(feature)
            raise _Reached

        with suppress(_Reached):
            self._run(images, keep)
        return one_map(found[0], self.at)

    def decode_all(self, features: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[Tensor, ...]]:
        images = features.new_zeros(features.shape[0], self.channels, *size)
        self._look(images)
        # An empty image must not enter the averages of the encoder's batch normalisation.
        learning = [module for module in self.before if module.training]
        for module in learning:
            module.training = False
        try:
            logits, auxiliary = self._run(
                images, lambda _: features.clone()
            )  # what follows may work in place
        finally:
            for module in learning:
                module.training = True
        return logits, tuple(auxiliary[head] for head in self.auxiliary)

    def _run(self, images: Tensor, act: Callable[[Any], Any]) -> Any:
        """The whole network; ``act`` gives what takes the feature's place at the module's last call."""
        left = self.calls or 0

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> Any:
            nonlocal left
            left -= 1
            return (act(inputs[0]), *inputs[1:]) if self.side == "input" and left == 0 else None

        def after(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            return act(output) if self.side == "output" and left == 0 else None

        hooks = [self.module.register_forward_pre_hook(before), self.module.register_forward_hook(after)]
        try:
            return self.whole(images)
        finally:
            for hook in hooks:
                hook.remove()

    @torch.no_grad()
    def _look(self, images: Tensor) -> None:
        """Once: how often the module is called, and whether the answer depends on the feature alone."""
        if self.calls is not None:
            return
        modes = [(module, module.training) for module in self.whole.modules()]
        self.whole.eval()
        try:
            self._count(images)
            self._require_no_skip(images)
        finally:
            for module, mode in modes:
                module.training = mode

    def _count(self, images: Tensor) -> None:
        seen: list[int] = []
        hook = self.module.register_forward_pre_hook(lambda *_: seen.append(1))
        try:
            self.whole(images)
        finally:
            hook.remove()
        if not seen:
            raise InputError(f"{self.at}: the network's forward pass does not call this layer")
        self.calls = len(seen)
        done: dict[nn.Module, None] = {}
        hooks = [m.register_forward_hook(lambda m, *_: done.update({m: None})) for m in self.whole.modules()]

        def note(feature: Any) -> Any:
            self.before = [module for module in done if not list(module.children())]
            return feature

        try:
            self._run(images, note)
        finally:
            for each in hooks:
                each.remove()

    def _require_no_skip(self, images: Tensor) -> None:
        feature = self.encode(images)
        first, second = (self._run(seen, lambda _: feature.clone()) for seen in (images, 1 - images))
        require_logits(first[0], Tensor)
        if not torch.equal(first[0], second[0]):
            names = self._crossing(feature, images) or ["something else of the image"]
            self.calls = None
            raise InputError(
                f"{self.at}: {' and '.join(names)} also reaches what follows (a skip connection): cut where one map "
                "holds all that the rest of the network sees"
            )
        self.auxiliary = [
            head for head, (a, b) in enumerate(zip(first[1], second[1], strict=True)) if torch.equal(a, b)
        ]

    def _crossing(self, feature: Tensor, images: Tensor) -> list[str]:
        """Modules before the cut, or the image, that the answer changes with while all others stay as they were."""
        answer, first = self._held(feature, images)
        _, second = self._held(feature, 1 - images)
        if [name for name, _ in first] != [name for name, _ in second]:
            return []
        outputs = [output for _, output in first]
        names = []
        for place, (name, other) in enumerate(second):
            held = [*outputs[:place], other, *outputs[place + 1 :]]
            if not torch.equal(self._held(feature, images, held)[0], answer):
                names.append(name)
        if not torch.equal(self._held(feature, 1 - images, outputs)[0], answer):
            names.append("the image")
        return list(dict.fromkeys(names))

    def _held(
        self, feature: Tensor, images: Tensor, outputs: Sequence[Any] = ()
    ) -> tuple[Tensor, list[tuple[str, Any]]]:
        """Logits with ``feature`` at the cut, and what the modules beside those that hold it give before it, by name.

        outputs: in place of these, in the order of the calls.
        """
        found: list[tuple[str, Any]] = []
        behind = False

        def act(_: Any) -> Tensor:
            nonlocal behind
            behind = True
            return feature.clone()

        def watch(name: str, module: nn.Module) -> Any:
            def after(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
                if behind:
                    return None
                found.append((name, copy.deepcopy(output)))  # what follows may work in place
                place = len(found) - 1
                return copy.deepcopy(outputs[place]) if place < len(outputs) else None

            return module.register_forward_hook(after)

        way = [""] + [self.at[:place] for place, sign in enumerate(self.at) if sign == "."] + [self.at]
        hooks = [
            watch(name, module)
            for name, module in self.whole.get_submodule("network").named_modules()
            if name not in way and name.rpartition(".")[0] in way[:-1]
        ]
        try:
            return self._run(images, act)[0], found
        finally:
            for hook in hooks:
                hook.remove()
