"""A trained model, wherever it comes from: a checkpoint of ours, an exported file, or anyone's module."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tessella.datasets import LabelClass
from tessella.errors import InputError
from tessella.inference import InferencePlan, Predictor
from tessella.membership_inference.black_box import what_is_wrong
from tessella.networks.adapters import as_network
from tessella.networks.exported_network import ExportedNetwork, load_exported
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD, Normalized, to_float
from tessella.pictures import default_palette
from tessella.runs.configuration import from_json
from tessella.runs.evaluation import Predict, on_images
from tessella.runs.segmentation import Segmentation, bare_network
from tessella.runs.user_code import load_function
from tessella.runs.views import Views, predict_views
from tessella.training.checkpoint_files import checkpoint_file, read_checkpoint

if TYPE_CHECKING:
    from tessella.serving.client import RemoteModel


@dataclass(frozen=True)
class Model:
    """A network with what is needed to use it: a black box from pictures to posteriors.

    network: picture [B, C, H, W] (uint8, uint16, or float in 0 to 1) to logits; it normalises by itself.
    of_others: the network may give posteriors in place of logits, which are recognised.
    classes: None where the model does not name them. resize: (height, width) that it was trained at, None for any.
    """

    network: nn.Module
    classes: tuple[LabelClass, ...] | None = None
    plan: InferencePlan = InferencePlan()
    resize: tuple[int, int] | None = None
    config: Segmentation | None = None
    of_others: bool = False

    @property
    def channels(self) -> int:
        """Of the pictures that it takes; 3 where it does not say."""
        if isinstance(self.network, Normalized):
            return int(self.network.mean.numel())
        if isinstance(self.network, ExportedNetwork):
            return self.network.description.input_shape[1] or 3
        return 3

    def __call__(self, image: Tensor) -> Tensor:
        """[B, C, H, W] picture to posteriors [B, K, H, W] of the same height and width."""
        return at_size(self._predictor, to_float(image), self.resize)

    def log_posteriors(self, image: Tensor) -> Tensor:
        """The same as logarithms, but for a number at each pixel (see ``Predictor.log_posteriors``)."""
        return at_size(self._predictor.log_posteriors, to_float(image), self.resize)

    @property
    def _predictor(self) -> Predictor:
        return Predictor(_Logits(self.network) if self.of_others else self.network, self.plan)

    def on_batches(self, device: torch.device) -> Predict:
        """Posteriors of batches: of each image by itself, or of its views brought together if trained so."""
        if self.config is None or self.config.views is None:
            return on_images(self, device)
        return predict_views(self.log_posteriors, self.config.views.pooling(), device)

    def with_views(self, number: int) -> "Model":
        """The same network with so many views brought together at test; 1: regions of one image; 0: each pixel itself.

        Raises InputError where the model was not trained here, or ``number`` is negative.
        """
        if self.config is None:
            raise InputError("views: this model was not trained here, so its data set is not known")
        if number < 0:
            raise InputError(f"views: {number} given; at least 0 is needed")
        views = replace(self.config.views or Views(), test=number) if number else None
        return replace(self, config=replace(self.config, views=views))


def at_size(predict: Callable[[Tensor], Tensor], image: Tensor, resize: tuple[int, int] | None) -> Tensor:
    """What ``predict`` says of ``image`` resized, back at the image's own (height, width); None to leave it."""
    size = image.shape[-2:]
    if resize is None or tuple(size) == resize:
        return predict(image)
    smaller = resize[0] * resize[1] < size[0] * size[1]
    image = F.interpolate(image, resize, mode="area" if smaller else "bilinear")
    return F.interpolate(predict(image), size, mode="bilinear")


def is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def load_model(source: str, trusted: Sequence[str] = ("tessella",), **remote: Any) -> Model:
    """A model from ``run/`` or ``.ckpt`` (ours), a file that ``tessella export`` wrote, ``file.py:callable``, or a URL.

    A run's folder means its best checkpoint. ``file.py:callable``, or ``module:callable``, returns an ``nn.Module``
    for RGB normalised by ImageNet's mean and deviation. Nothing in a checkpoint is executed; ``trusted`` names the
    packages whose classes it may build. ``file.py:callable`` runs that code: it is the user's own. ``http://host:port``
    is a server of the Open Inference Protocol, for which ``remote`` holds further arguments of ``RemoteModel``; its
    ``classes`` also says how many an ONNX file of label maps has. An exported file, and a module of the user's, may
    give posteriors in place of logits.

    Raises:
        InputError: no such file or module; a checkpoint of something else.
    """
    if is_url(source):
        return _from_url(source, remote)
    path = checkpoint_file(Path(source))
    if path.suffix in (".onnx", ".pt2"):
        return _from_exported(path, remote.get("classes"))
    if path.suffix == ".ckpt" or path.exists():
        return _from_checkpoint(path, trusted)
    if ":" not in source:
        raise InputError(f"{source} is no checkpoint, no run folder, and not of the form file.py:callable")
    network = load_function(source)()
    if not isinstance(network, nn.Module):
        raise InputError(f"{source}: gives {type(network).__name__}; a torch.nn.Module is needed")
    return Model(Normalized(as_network(network), IMAGENET_MEAN, IMAGENET_STD).eval(), of_others=True)


class _Logits(nn.Module):
    """Of a network that gives posteriors, their logarithms, which a softmax takes back; of any other, what it gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.network(image)
        if what_is_wrong(answer, image, answer.shape[1]):
            return answer
        return answer.float().clamp(min=torch.finfo(torch.float32).tiny).log()


class _Remote(nn.Module):
    """A server as a network: pictures to logarithms of its posteriors, which a softmax takes back."""

    def __init__(self, server: "RemoteModel") -> None:
        super().__init__()
        self.server = server

    def forward(self, image: Tensor) -> Tensor:
        return self.server(image).log().to(image.device)


def _from_url(url: str, remote: dict[str, Any]) -> Model:
    from tessella.serving.client import RemoteModel  # an optional package speaks HTTP

    server = RemoteModel(url, **remote)
    colours = server.contract.palette or default_palette(len(server.contract.classes)).tolist()
    classes = tuple(
        LabelClass(name, tuple(colour)) for name, colour in zip(server.contract.classes, colours, strict=True)
    )
    return Model(_Remote(server), classes or None)


def _from_exported(path: Path, number: int | None) -> Model:
    exported = load_exported(path, classes=number)
    description = exported.description
    classes = tuple(LabelClass(name, color) for name, color in description.classes)
    network = Normalized(exported, description.mean, description.std) if description.mean else exported
    return Model(network, classes or None, of_others=True)


def _from_checkpoint(path: Path, trusted: Sequence[str]) -> Model:
    checkpoint = read_checkpoint(path)
    content = checkpoint["tessella"]
    if "network" in content:
        raise InputError(
            f"{path} holds a generator of features: tessella sample takes it, and --synthetic.generator"
        )
    config = from_json(content["config"], trusted)
    if not isinstance(config, Segmentation):
        raise InputError(f"{path} holds a generator or a judge of images, not a segmentation network")
    channels = content["in_channels"]
    network = Normalized(
        bare_network(config, len(content["classes"]), channels), [0.0] * channels, [1.0] * channels
    )
    weights = {
        name.removeprefix("network."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not fit the network it names: {str(error).splitlines()[1].strip()}"
        ) from error
    network = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    classes = tuple(LabelClass(name, tuple(color)) for name, color in content["classes"])
    return Model(network, classes, config.inference, config.resize, config)
