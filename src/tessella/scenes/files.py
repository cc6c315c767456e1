"""Files that are complete or absent: pictures, truth archives, text; and with what settings a folder was rendered."""

import io
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tessella.errors import InputError
from tessella.scenes.frame import Frame

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside the target, then rename, so that a file of this name is always complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def png(picture: np.ndarray) -> bytes:
    """A PNG of [H, W] uint8 or uint16, [H, W, 3] RGB or [H, W, 4] RGBA."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture)[1].tobytes()


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


def write_truth(path: Path, frame: Frame) -> None:
    """Everything known about a frame but its image, as an npz.

    Fields: depth, noisy_depth, normals (float16), labels, instances, pose, intrinsics, flow_forward,
    flow_backward, visible_forward, visible_backward, as in ``Frame``.
    """
    content = {name: values for name, values in vars(frame).items() if name != "image"}
    write_bytes(path, npz((content | {"normals": frame.normals.astype(np.float16)}).items()))


def require_same_settings(out: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a folder's scenes, or raise InputError where it holds scenes rendered with others."""
    path = out / "truth" / "render.json"
    if not path.exists():
        write_bytes(path, (json.dumps(settings, indent=2) + "\n").encode())
        return
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise InputError(f"{path} is not valid JSON: remove the folder {out} or choose another one") from None
    if found != settings:
        names = dict.fromkeys((*settings, *found))
        changed = [name for name in names if found.get(name) != settings.get(name)]
        described = ", ".join(f"{name} {found.get(name)} instead of {settings.get(name)}" for name in changed)
        raise InputError(
            f"{out} holds scenes rendered with {described}: choose another folder or the same settings"
        )
