"""Streets in the folders and files of Cityscapes (Cordts et al., CVPR 2016)."""

import json
from pathlib import Path

import numpy as np

from tessella.files import png, write_bytes
from tessella.scenes.classes import STREET_COLORS, STREET_INSTANCES
from tessella.scenes.files import write_truth
from tessella.scenes.frame import Frame, labelled_position
from tessella.scenes.sensor import STEREO_BASELINE

CITIES = {
    "train": ("altfurt", "birkenau", "dornheim", "eichgrund"),
    "val": ("lindhof", "moosbach"),
    "test": ("steinfeld", "weiden"),
}
"""Invented cities, other ones in each split; sequences go round."""

_LABELLED = 19


class CityscapesSequence:
    """The files of one sequence of which the frame numbered 000019 is labelled.

    ``leftImg8bit``, ``gtFine``, ``disparity`` and ``camera`` hold that frame, ``leftImg8bit_sequence`` all
    frames where there are several, ``truth`` one npz for every frame.
    """

    def __init__(
        self, root: Path, split: str, number: int, frames: int, seed: int, interval: float | None = None
    ) -> None:
        # Names count frames, whatever the time between them.
        self.root, self.split, self.frames = root, split, frames
        cities = CITIES[split]
        self.city = cities[number % len(cities)]
        self.prefix = f"{self.city}_{number // len(cities):06d}"
        self.labelled = labelled_position(frames)

    def _path(self, folder: str, frame: int, suffix: str) -> Path:
        name = f"{self.prefix}_{_LABELLED - self.labelled + frame:06d}{suffix}"
        return self.root / folder / self.split / self.city / name

    def paths(self, frame: int) -> dict[str, Path]:
        """What belongs to a frame of this sequence, by content."""
        paths = {"truth": self._path("truth", frame, ".npz")}
        if self.frames > 1:
            paths["video"] = self._path("leftImg8bit_sequence", frame, "_leftImg8bit.png")
        if frame == self.labelled:
            paths |= {
                "image": self._path("leftImg8bit", frame, "_leftImg8bit.png"),
                "labels": self._path("gtFine", frame, "_gtFine_labelIds.png"),
                "instances": self._path("gtFine", frame, "_gtFine_instanceIds.png"),
                "colors": self._path("gtFine", frame, "_gtFine_color.png"),
                "disparity": self._path("disparity", frame, "_disparity.png"),
                "camera": self._path("camera", frame, "_camera.json"),
            }
        return paths

    def write(self, number: int, frame: Frame) -> None:
        """Write all files of a frame."""
        contents = {
            "video": lambda: png(frame.image),
            "image": lambda: png(frame.image),
            "labels": lambda: png(frame.labels),
            "instances": lambda: png(instance_ids(frame)),
            "colors": lambda: png(_colors(frame)),
            "disparity": lambda: png(_disparity(frame)),
            "camera": lambda: _camera(frame),
        }
        for name, path in self.paths(number).items():
            if name == "truth":
                write_truth(path, frame)
            else:
                write_bytes(path, contents[name]())

    @staticmethod
    def finish(
        root: Path, counts: dict[str, int], frames: int, seed: int, interval: float | None = None
    ) -> None:
        """Nothing spans several sequences."""


def instance_ids(frame: Frame) -> np.ndarray:
    """Cityscapes' instance ids [H, W] uint16: the label id, or 1000 times it + number for things."""
    ids = frame.labels.astype(np.uint16)
    for label in STREET_INSTANCES:
        mask = frame.labels == label
        _, numbers = np.unique(frame.instances[mask], return_inverse=True)
        ids[mask] = label * 1000 + numbers
    return ids


def _colors(frame: Frame) -> np.ndarray:
    opaque = np.full((*frame.labels.shape, 1), 255, np.uint8)
    return np.concatenate([STREET_COLORS[frame.labels], opaque], axis=2)


def _disparity(frame: Frame) -> np.ndarray:
    """16-bit code of the measured depth: 0 is invalid, else disparity = (code - 1) / 256."""
    scale = frame.intrinsics[0, 0] * STEREO_BASELINE
    valid = frame.noisy_depth > 0
    disparity = scale / np.where(valid, frame.noisy_depth, 1)
    return np.where(valid, np.clip(np.round(disparity * 256) + 1, 1, 65535), 0).astype(np.uint16)


def _camera(frame: Frame) -> bytes:
    (fx, _, u0), (_, fy, v0), _ = frame.intrinsics.tolist()
    rotation = frame.pose[:3, :3]
    content = {
        "extrinsic": {
            "baseline": STEREO_BASELINE,
            "pitch": float(np.arcsin(-rotation[2, 2])),
            "roll": float(np.arctan2(-rotation[2, 0], -rotation[2, 1])),
            "x": 0.0,
            "y": 0.0,
            "yaw": float(np.arctan2(-rotation[0, 2], rotation[1, 2])),
            "z": float(frame.pose[2, 3]),
        },
        "intrinsic": {"fx": fx, "fy": fy, "u0": u0, "v0": v0},
    }
    return (json.dumps(content, indent=4) + "\n").encode()
