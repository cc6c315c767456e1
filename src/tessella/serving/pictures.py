"""Pictures out of a request: as numbers, or as encoded files, never more of them than is allowed."""

import base64
import binascii
import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from tessella.serving.protocol import Malformed, NamedTensor

FORMATS = ("PNG", "JPEG")

MOST_SCANS = 100
"""Of a JPEG: each is a pass over all its pixels, however few bytes it has."""

INPUTS = {"image": "UINT8", "image_float": "FP32", "encoded": "BYTES"}
"""Of which a request gives one: [B, C, H, W] with values 0 to 255, the same with 0 to 1, or [B] whole files."""


@dataclass(frozen=True)
class Limits:
    """pictures, pixels: of one request, pixels over all its pictures. body: bytes."""

    pictures: int = 16
    pixels: int = 4_000_000
    body: int = 64 << 20


def pictures_of(
    inputs: tuple[NamedTensor, ...], channels: int, limits: Limits
) -> UInt8[Tensor, "batch channels height width"]:
    """The pictures of a request. Raises Malformed where they are not what ``INPUTS`` says, or too many or too large."""
    if len(inputs) != 1 or inputs[0].name not in INPUTS:
        raise Malformed(f"inputs: give one of {', '.join(INPUTS)}")
    tensor = inputs[0]
    if tensor.datatype != INPUTS[tensor.name]:
        raise Malformed(f"{tensor.name} is {tensor.datatype}; {INPUTS[tensor.name]} is needed")
    if tensor.name == "encoded":
        return _decoded(tensor.data, channels, limits)
    data = tensor.data
    if data.ndim != 4 or data.shape[1] != channels:
        raise Malformed(f"{tensor.name} is {list(data.shape)}; [batch, {channels}, height, width] is needed")
    _require_size(data.shape[0], data.shape[2], data.shape[3], limits)
    if tensor.name == "image":
        return torch.from_numpy(np.array(data))
    if not (np.isfinite(data).all() and data.min() >= 0 and data.max() <= 1):
        raise Malformed("image_float: give values from 0 to 1")
    return torch.from_numpy((data * 255).round().astype(np.uint8))


def open_picture(content: bytes, limits: Limits) -> Image.Image:
    """A PNG or JPEG, not decoded yet. Raises Malformed for anything else, and for one that is too large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused below
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Malformed(f"a picture has far more than {limits.pixels} pixels") from error
    except Exception as error:  # whatever Pillow's readers raise at bytes that are no picture
        raise Malformed(f"a picture: {' or '.join(FORMATS)} is needed") from error
    _require_size(1, picture.height, picture.width, limits)
    if picture.mode.startswith(("I", "F")):
        raise Malformed("a picture: 8 bits a channel are needed")
    if picture.format == "JPEG" and content.count(b"\xff\xda") > MOST_SCANS:
        raise Malformed(f"a picture: a JPEG of more than {MOST_SCANS} scans")
    return picture


def as_rgb(picture: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Raises Malformed where the file is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.array(picture.convert("RGB"))
    except Exception as error:
        raise Malformed("a picture: the file is damaged") from error


def _decoded(files: np.ndarray, channels: int, limits: Limits) -> Tensor:
    if files.ndim != 1:
        raise Malformed(f"encoded is {list(files.shape)}; [batch] is needed")
    if channels != 3:
        raise Malformed(f"encoded: the model takes {channels} channels; give image or image_float")
    opened = [open_picture(_content(file), limits) for file in files]
    sizes = {picture.size for picture in opened}
    if len(sizes) > 1:
        raise Malformed("encoded: pictures of one request must have one size; send them one by one")
    width, height = sizes.pop() if sizes else (0, 0)
    _require_size(len(opened), height, width, limits)
    return (
        torch.from_numpy(np.stack([as_rgb(picture) for picture in opened])).permute(0, 3, 1, 2).contiguous()
    )


def _content(file: bytes) -> bytes:
    """JSON has no bytes: there a file is in base64, which no PNG and no JPEG begins like."""
    if file[:1] in (b"\x89", b"\xff"):
        return file
    try:
        return base64.b64decode(file, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("encoded: neither PNG, nor JPEG, nor one of these in base64") from error


def _require_size(number: int, height: int, width: int, limits: Limits) -> None:
    if not 1 <= number <= limits.pictures:
        raise Malformed(f"{number} pictures; 1 to {limits.pictures} are allowed in a request")
    if height < 1 or width < 1 or number * height * width > limits.pixels:
        raise Malformed(f"{number} x {width}x{height} pixels; 1 to {limits.pixels} are allowed in a request")
