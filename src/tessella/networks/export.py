"""A network as one file that describes itself, torch.export (``.pt2``) or ONNX (``.onnx``).

``exported_network`` reads it back.
"""

import copy
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tessella.errors import InputError
from tessella.networks.exported_network import (
    METADATA,
    Description,
    ExportedNetwork,
    check_suffix,
    first_line,
    load_exported,
)

DIMENSIONS = {0: "batch", 2: "height", 3: "width"}
"""Those of an image [B, C, H, W] that a file may take in any size."""


@dataclass(frozen=True)
class ExportReport:
    """What was written. largest_difference: of the file's logits from the network's, on noise.

    fixed: names of the dimensions that the file takes in one size alone, and why.
    """

    path: Path
    description: Description
    largest_difference: float
    fixed: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: logits differ from the network's by at most {self.largest_difference:.1e}"
        if self.fixed:
            text += f"; {', '.join(self.fixed)} fixed at {list(self.description.input_shape)} ({self.reason})"
        return text


def export(
    network: nn.Module,
    path: str | Path,
    *,
    input_size: tuple[int, int] = (256, 320),
    in_channels: int = 3,
    dynamic: bool = True,
    classes: Sequence[tuple[str, tuple[int, int, int]]] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    scale: float = 255.0,
    tolerance: float = 1e-3,
) -> ExportReport:
    """Write ``network`` in evaluation mode, float32, to ``path``, and compare the file with it.

    path: ``.pt2`` for torch.export, ``.onnx`` for ONNX; replaced only once the new file is checked.
    input_size: height and width of the trial image, and of every image where ``dynamic`` is off.
    dynamic: take any batch, height and width. Where the network does not allow this, the file is written for
        one batch or size, and the report says so.
    classes, mean, std, scale: stored in the file, see ``Description``.
    tolerance: largest difference of logits, in units of the largest logit or 1, whichever is more.

    Raises InputError for another suffix, missing packages, or a network that cannot be traced, RuntimeError
    if the file's logits differ from the network's by more than the tolerance.
    """
    path = Path(path)
    _check_request(path, input_size, in_channels, classes, mean, std)
    network = copy.deepcopy(network).cpu().float().eval()  # a file with CUDA tensors opens only where CUDA is
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # else the writer warns
    batch = 2 if dynamic else 1  # torch.export takes a size of 1 to be always 1
    image = torch.randn(batch, in_channels, *input_size)
    with torch.no_grad():
        logits = network(image)
    if logits.shape[0] != batch or logits.shape[2:] != image.shape[2:]:
        raise InputError(
            f"{type(network).__name__} returned {list(logits.shape)} for an image {list(image.shape)} where "
            "[batch, classes, height, width] is needed: wrap it with tessella.networks.adapters.as_network"
        )

    program, free, reason = _trace(network, image, dynamic)
    if dynamic and not free:
        image = image[:1]  # all is fixed: one image at a time is of more use than two
        program, _, _ = _trace(network, image, dynamic=False)
    description = Description(
        input_shape=tuple(None if d in free else size for d, size in enumerate(image.shape)),
        num_classes=logits.shape[1],
        classes=tuple((name, (color[0], color[1], color[2])) for name, color in classes),
        mean=tuple(mean),
        std=tuple(std),
        scale=scale,
    )
    with _beside(path) as temporary:
        _save(program, temporary, json.dumps(asdict(description)))
        images = (image, _of_other_size(image, free))
        difference = _compare(network, load_exported(temporary), images, tolerance, path)
    fixed = tuple(name for d, name in DIMENSIONS.items() if dynamic and d not in free)
    return ExportReport(path, description, difference, fixed, reason)


def _check_request(
    path: Path,
    input_size: tuple[int, int],
    in_channels: int,
    classes: Sequence[object],
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    check_suffix(path)
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder; create {path.parent} first")
    if min(input_size) < 2:
        raise InputError(f"input_size={input_size}: give a height and width of at least 2")
    for name, values in (("mean", mean), ("std", std)):
        if values and len(values) != in_channels:
            raise InputError(f"{name} has {len(values)} values for {in_channels} channels: give one for each")


def _trace(
    network: nn.Module, image: Tensor, dynamic: bool
) -> tuple[torch.export.ExportedProgram, tuple[int, ...], str]:
    """The traced network, the dimensions it takes in any size, and why not all that were asked for."""
    reason = ""
    if dynamic:
        try:
            sides = dict.fromkeys(DIMENSIONS, torch.export.Dim.AUTO)
            program = torch.export.export(network, (image,), dynamic_shapes=(sides,), strict=False)
            return program, *_free_dimensions(program, image)
        except Exception as error:  # of many kinds; with fixed sizes it may do
            reason = first_line(error)
    try:
        return torch.export.export(network, (image,), strict=False), (), reason
    except Exception as error:
        raise InputError(
            f"{type(network).__name__}: torch.export cannot trace it ({first_line(error)}); keep branches "
            "on tensor values and calls into other libraries out of forward"
        ) from error


def _free_dimensions(program: torch.export.ExportedProgram, image: Tensor) -> tuple[tuple[int, ...], str]:
    """Dimensions that may change, found by changing them; and why not the others.

    Raises what the program raises if they may change one by one but not together.
    """
    run = program.module()
    free, reason = [], ""
    with torch.no_grad():
        for dimension in DIMENSIONS:
            try:
                run(_of_other_size(image, [dimension]))
                free.append(dimension)
            except Exception as error:  # a guard, or an operator that got another size than it knows
                reason = first_line(error)
        run(_of_other_size(image, free))
    return tuple(free), reason


def _of_other_size(image: Tensor, free: Sequence[int]) -> Tensor:
    """Noise with one image less than ``image``, higher and narrower by odd numbers, where these are free."""
    shape = list(image.shape)
    for dimension in free:
        shape[dimension] = max(1, shape[dimension] + {0: -1, 2: 13, 3: -7}[dimension])
    return torch.randn(shape)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` if all went well, and nothing otherwise."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)


def _save(program: torch.export.ExportedProgram, path: Path, text: str) -> None:
    if path.suffix == ".pt2":
        torch.export.save(program, path, extra_files={METADATA: text})
        return
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"{path.name}: ONNX needs pip install tessella[export]") from error
    with warnings.catch_warnings(), _silent_log():  # what is inside torch and onnxscript is not the user's
        warnings.simplefilter("ignore")
        onnx_program = torch.onnx.export(
            program, dynamo=True, input_names=["image"], output_names=["logits"], verbose=False
        )
    assert onnx_program is not None
    onnx_program.model.metadata_props[METADATA] = text
    onnx_program.save(path, external_data=False)


@contextmanager
def _silent_log() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _compare(
    network: nn.Module, exported: ExportedNetwork, images: Sequence[Tensor], tolerance: float, path: Path
) -> float:
    """Largest difference of the logits for ``images``; RuntimeError if it is too large."""
    largest = 0.0
    for image in images:
        with torch.no_grad():
            expected = network(image)
        difference = (exported(image) - expected).abs().max().item()
        allowed = tolerance * max(1.0, expected.abs().max().item())
        if not difference <= allowed:
            raise RuntimeError(
                f"{path}: not written, its logits for an image {list(image.shape)} differ from the network's "
                f"by {difference:.3g}, more than {allowed:.3g}"
            )
        largest = max(largest, difference)
    return largest
