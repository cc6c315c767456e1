"""First stages of a backbone that stay as they are, and whose maps are computed once for each image.

What makes training with many views of a scene fit (He et al., CVPR 2017, cache the maps of pool4): the frozen stages
keep no activations, and cost nothing from the second time on.
"""

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.backbone import ChainBackbone


def freeze_stages(network: nn.Module, stages: int, folder: Path | None = None) -> None:
    """The first ``stages`` stages of every backbone in ``network`` learn nothing more, normalisation included.

    folder: keep the maps of each image there, in float16, and read them where the same image comes again. That helps
    where images come unchanged: random crops, flips and colours never come again.

    Raises:
        InputError: no backbone whose stages follow one another; not 1 to 3 stages.
    """
    backbones = [module for module in network.modules() if isinstance(module, ChainBackbone)]
    if not backbones:
        raise InputError(
            "frozen_stages: the network has no backbone of stages that follow one another; give 0"
        )
    if not 1 <= stages <= 3:
        raise InputError(f"frozen_stages {stages}: a backbone has 4 stages, of which 1 to 3 can be frozen")
    for backbone in backbones:
        backbone.recall = Recall(backbone, stages, folder)


class Recall:
    """The maps of a backbone's first stages, from memory where they are known; see ``freeze_stages``."""

    def __init__(self, backbone: ChainBackbone, stages: int, folder: Path | None) -> None:
        self.backbone, self.stages, self.folder = backbone, stages, folder
        self.modules = [module for stage in backbone.stages()[:stages] for module in stage]
        for parameter in (p for module in self.modules for p in module.parameters()):
            parameter.requires_grad_(False)
        self._weights = ""
        self._versions: list[tuple[int, int]] | None = None

    @torch.no_grad()
    def __call__(self, image: Tensor) -> list[Tensor]:
        if self.folder is None:
            return self._run(image)
        maps = [self._remembered(one, self.folder) for one in image.split(1)]
        # Autocast does not join float16 on a processor: to float32 first.
        return [
            torch.cat([x.to(image.device, image.dtype) for x in same]) for same in zip(*maps, strict=True)
        ]

    def _run(self, image: Tensor) -> list[Tensor]:
        for module in self.modules:
            module.eval()  # whoever trains the network sets it to training
        return self.backbone.run(image, last=self.stages)

    def _remembered(self, image: Tensor, folder: Path) -> list[Tensor]:
        path = folder / f"{self._key(image)}.pt"
        if path.exists():
            return torch.load(path, weights_only=True)
        maps = [x.to("cpu", torch.float16) for x in self._run(image)]
        part = path.with_suffix(f".{os.getpid()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(maps, part)
            os.replace(part, path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
            part.unlink(missing_ok=True)
            raise InputError(f"{folder}: cannot keep the frozen maps ({error}); free some space") from error
        return maps

    def _key(self, image: Tensor) -> str:
        """Of the image, of how the stages are built, and of their weights, which are read again where they change."""
        state = [x for module in self.modules for x in (*module.parameters(), *module.buffers())]
        versions = [(x.data_ptr(), x._version) for x in state]
        if versions != self._versions:
            self._weights, self._versions = _digest(repr(self.modules), *state), versions
        return _digest(self._weights, image)[:32]


def _digest(text: str, *tensors: Tensor) -> str:
    digest = hashlib.blake2b(text.encode())
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        # As bytes: NumPy has no bfloat16.
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
