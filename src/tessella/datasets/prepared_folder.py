"""Where prepared video lies, and how it is stored."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tessella.datasets.files import read_channels
from tessella.errors import InputError


@dataclass(frozen=True)
class PreparedFolder:
    """Paths below ``root``; an id is a frame's, such as ``train/kitchen_0001/00012``.

    settings: what the folder was made with. hha: [H, W, 3] uint8, disparity, height and angle as red, green and blue.
    regions: a frame's hierarchy: finest, parents, altitudes. correspondences: an array [L, H, W] int32 for each frame
    of the target's window, named by the frame's id: which of the target's regions a pixel belongs to, -1 for none.
    """

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "settings.json"

    def hha(self, id_: str) -> Path:
        return self.root / "hha" / f"{id_}.png"

    def regions(self, id_: str) -> Path:
        return self.root / "regions" / f"{id_}.npz"

    def flows(self, first: str, second: str) -> tuple[Path, Path]:
        """Flow from a frame to the next of its video, and back from that."""
        there, back = first, second
        if PurePosixPath(first).parent != PurePosixPath(second).parent:
            # A labelled picture of NYUDv2 takes the place of a raw frame, in its own window alone.
            there += f"-{PurePosixPath(second).name}"
            back += f"-{PurePosixPath(first).name}"
        return self.root / "flow" / f"{there}.png", self.root / "flow_back" / f"{back}.png"

    def correspondences(self, id_: str) -> Path:
        return self.root / "correspondences" / f"{id_}.npz"


def encode_flow(flow: np.ndarray) -> np.ndarray:
    """Flow [H, W, 2] in pixels as KITTI stores it, [H, W, 3] uint16: 64 times flow plus 2^15, and 1 where that fits."""
    stored = np.rint(flow * 64.0) + 2**15
    fits = ((stored >= 0) & (stored < 2**16)).all(2)
    return np.dstack([np.clip(stored, 0, 2**16 - 1), fits]).astype(np.uint16)


def read_flow(path: Path) -> np.ndarray:
    """Flow [H, W, 2] float32 of a file in KITTI's format; what did not fit is 512 pixels, which leads nowhere."""
    return (read_channels(path)[..., :2].astype(np.float32) - 2**15) / 64


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The named arrays of an npz file; the others are not read. InputError where it lacks one or is damaged."""
    with open_arrays(path) as archive:
        absent = [name for name in names if name not in archive]
        found = [archive[name] for name in names if name in archive]
    if absent:
        raise InputError(f"{path}: lacks {', '.join(absent)}; prepare a larger window")
    return found


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an npz file by their names, read when they are asked for. InputError where it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as archive:
            yield archive
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: is missing or damaged; remove it and prepare again") from error
