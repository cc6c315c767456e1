"""Truth archives, and with what settings a folder was rendered."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import InputError
from tessella.files import npz, write_bytes, write_json
from tessella.scenes.frame import Frame


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
        write_json(path, settings)
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
