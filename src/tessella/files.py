"""Files that are complete or absent: they are written beside their place and moved there."""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tessella.errors import InputError

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bytes(path: Path, content: bytes) -> None:
    """Its folder is made. Raises InputError where it cannot be written; a file that was there is as it was."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        where = path if error.filename in (None, str(beside)) else error.filename
        raise InputError(f"cannot write {where}: {error.strerror or error}") from error
    finally:
        if beside.exists():
            beside.unlink()


def write_text(path: Path, text: str) -> None:
    """In UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Indented, with a line's end."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def read_object(file: Path, otherwise: str = "restore it or delete it") -> dict[str, Any]:
    """A JSON object. otherwise: what to do where that cannot be read, which the InputError ends with."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); {otherwise}") from None
    except ValueError as error:  # also of text that is not UTF-8
        raise InputError(f"{file} is not valid JSON ({error}); {otherwise}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold a JSON object, not a {type(content).__name__}; {otherwise}")
    return content


def json_number(value: float) -> float | None:
    """To six digits; None for nan, which JSON does not have."""
    return None if math.isnan(value) else round(float(value), 6)


def png(picture: np.ndarray) -> bytes:
    """A PNG of [H, W] uint8 or uint16, [H, W, 3] RGB or [H, W, 4] RGBA."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture)[1].tobytes()


def jpeg(picture: np.ndarray) -> bytes:
    """A JPEG of [H, W, 3] RGB."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def npz(arrays: Iterable[tuple[str, np.ndarray]]) -> bytes:
    """A compressed archive of named arrays for ``numpy.load``; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays:
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()
