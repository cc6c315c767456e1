"""A network read back from one file that describes itself, torch.export (``.pt2``) or ONNX (``.onnx``)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.networks.label_maps import posteriors_of_labels
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD

Image = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes height width"]

METADATA = "tessella.json"
"""Name of the description inside the file: an extra file of ``.pt2``, a metadata property of ``.onnx``."""

SUFFIXES = (".pt2", ".onnx")

FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
"""What ONNX Runtime calls them."""


@dataclass(frozen=True)
class Description:
    """What a file says of itself.

    input_shape: [B, C, H, W] of the image; None where any size is taken.
    num_classes: K of the logits [B, K, H, W].
    classes: name and colour of every class; empty if not given.
    mean, std: per channel; the network expects ``(image / scale - mean) / std``; empty if not given.
    scale: what pixel values are divided by first, e.g. 255 for 8-bit images and a mean between 0 and 1.
    """

    input_shape: tuple[int | None, ...]
    num_classes: int
    classes: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 255.0

    @classmethod
    def from_json(cls, text: str) -> "Description":
        fields = json.loads(text)
        fields["classes"] = tuple((name, tuple(color)) for name, color in fields["classes"])
        for name in ("input_shape", "mean", "std"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


class ExportedNetwork(nn.Module):
    """A file written by ``export`` as a network, for prediction; built by ``load_exported``.

    It has no parameters: ``to`` and ``train`` change nothing. The image may be on any device, the logits
    return to it. ``description`` is what the file says of itself.
    """

    def __init__(
        self, run: Callable[[Tensor], Tensor], description: Description, device: torch.device, name: str
    ) -> None:
        super().__init__()
        self.description = description
        self._run = [run]  # in a list, as exported programs refuse train() and eval() of their parents
        self._device = device
        self._name = name

    def forward(self, image: Image) -> Logits:
        """Logits [B, K, H, W]. Raises InputError for an image of a shape that the file does not take."""
        wanted = self.description.input_shape
        if image.ndim != 4 or any(w not in (None, s) for w, s in zip(wanted, image.shape, strict=True)):
            shape = ", ".join("any" if side is None else str(side) for side in wanted)
            raise InputError(
                f"{self._name}: takes images [{shape}], not {list(image.shape)}; resize or tile them"
            )
        with torch.no_grad():
            return self._run[0](image.to(self._device, torch.float32)).to(image.device)


def load_exported(
    path: str | Path, *, device: str | torch.device = "cpu", classes: int | None = None
) -> ExportedNetwork:
    """Read a file that ``export`` wrote, or an ONNX file of others; from image [B, C, H, W] to logits [B, K, H, W].

    An ONNX file of others has one input [B, C, H, W], a picture normalised by ImageNet's mean and deviation, and logits
    as its first output of floats with four axes, which are resized to the picture. Posteriors in their place are given
    as they are. Without such an output, one of integers [B, h, w] or [B, 1, h, w] is a label map, given as posteriors
    of 0 and 1.

    device: where to compute. ONNX on CUDA needs onnxruntime-gpu. classes: how many a file of label maps has.
    Raises InputError if the file is missing, damaged, or neither of the two, and for label maps without ``classes``.
    """
    path, device = Path(path), torch.device(device)
    check_suffix(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    run, description = _open_pt2(path, device) if path.suffix == ".pt2" else _open_onnx(path, device, classes)
    return ExportedNetwork(run, description, device, str(path))


def check_suffix(path: Path) -> None:
    """InputError unless the suffix names one of the two formats."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: give the file the suffix .pt2 (torch.export) or .onnx")


def _open_pt2(path: Path, device: torch.device) -> tuple[Callable[[Tensor], Tensor], Description]:
    extra = {METADATA: ""}
    try:
        program = torch.export.load(path, extra_files=extra)
    except Exception as error:  # of zip, JSON, the schema, ...
        raise InputError(f"{path}: damaged, or not written by torch.export ({first_line(error)})") from error
    if not extra[METADATA]:
        raise InputError(f"{path}: not written by tessella, it does not describe itself; export it again")
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    return program.module(), Description.from_json(extra[METADATA])


def _open_onnx(
    path: Path, device: torch.device, classes: int | None
) -> tuple[Callable[[Tensor], Tensor], Description]:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path.name}: ONNX needs pip install tessella[export]") from error
    provider = "CPUExecutionProvider" if device.type == "cpu" else "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise InputError(f"device={device}: this onnxruntime has no {provider}; pip install onnxruntime-gpu")
    try:
        session = onnxruntime.InferenceSession(path, providers=[provider])
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise InputError(f"{path}: damaged, or not an ONNX file ({first_line(error)})") from error

    text = session.get_modelmeta().custom_metadata_map.get(METADATA, "")
    image_name, logits_name, description = (
        _of_others(session, path, classes) if not text else ("image", "logits", None)
    )

    def run(image: Tensor) -> Tensor:
        logits = torch.from_numpy(session.run([logits_name], {image_name: image.cpu().numpy()})[0])
        if description and not logits.is_floating_point():
            labels = logits.reshape(len(logits), *logits.shape[-2:])
            posteriors = posteriors_of_labels(labels, description.num_classes, str(path))
            return F.interpolate(posteriors, image.shape[2:], mode="nearest-exact")
        if logits.shape[2:] == image.shape[2:]:
            return logits
        return F.interpolate(logits, image.shape[2:], mode="bilinear")

    return run, description or Description.from_json(text)


def _of_others(session: Any, path: Path, number: int | None) -> tuple[str, str, Description]:
    """Names of input and output of an ONNX file that does not describe itself, and what its axes say.

    number: of classes, where it gives label maps.
    """
    inputs = [each for each in session.get_inputs() if each.type == "tensor(float)"]
    outputs = [each for each in session.get_outputs() if each.type in FLOATS and len(each.shape) == 4]
    outputs += [each for each in session.get_outputs() if "int" in each.type and _is_map(each.shape)]
    if len(session.get_inputs()) != 1 or not inputs or len(inputs[0].shape) != 4 or not outputs:
        raise InputError(
            f"{path}: one input [B, C, H, W] of float32 and an output [B, K, h, w] are needed, or one of integers "
            "[B, h, w]; it has "
            + ", ".join(
                f"{each.name} {each.shape}" for each in (*session.get_inputs(), *session.get_outputs())
            )
        )
    shape = tuple(axis if isinstance(axis, int) else None for axis in inputs[0].shape)
    classes = outputs[0].shape[1] if outputs[0].type in FLOATS else number
    if outputs[0].type not in FLOATS and not number:
        raise InputError(f"{path}: gives label maps: say how many classes there are (--classes)")
    if not isinstance(classes, int):
        raise InputError(f"{path}: {outputs[0].name} {outputs[0].shape} does not say how many classes it has")
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if shape[1] in (None, 3) else ((), ())
    return inputs[0].name, outputs[0].name, Description(shape, classes, mean=mean, std=std)


def _is_map(shape: list[Any]) -> bool:
    return len(shape) == 3 or (len(shape) == 4 and shape[1] == 1)


def first_line(error: BaseException) -> str:
    """Of an error's message; its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
