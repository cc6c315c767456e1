"""Rooms in the files of NYUDv2 (Silberman et al., ECCV 2012), as downloaded, and as plain pictures."""

import io
import os
from pathlib import Path

import numpy as np
import scipy.io

from tessella.datasets.files import read_image
from tessella.datasets.nyudv2_classes import CLASSES_40
from tessella.datasets.nyudv2_frames import METRES_PER_UNIT
from tessella.errors import InputError
from tessella.files import png, write_bytes
from tessella.scenes.files import write_truth
from tessella.scenes.frame import Frame, labelled_position, sequence_key
from tessella.scenes.kinect_raw import raw_color, raw_depth
from tessella.scenes.room import INTERVAL, room_type

_FIRST_SECOND = 1294000000
_NAMES = [label.name for label in CLASSES_40]


class NYUDv2Sequence:
    """The files of one sequence, a scene of which one frame is labelled.

    ``raw/<scene>`` holds ``r-*.ppm``, ``d-*.pgm`` and ``INDEX.txt`` as the Kinect recorded them: distorted by
    the lenses, depth as whole disparity steps of the depth camera. ``frames/<split>/<scene>`` holds the same
    video as plain pictures of the undistorted colour camera: ``*_color.png``, ``*_depth_filled.png`` (exact
    depth) and ``*_label40.png`` of the labelled frame. ``truth/<split>/<scene>`` holds one npz per frame.
    ``finish`` gathers the labelled frames into ``nyu_depth_v2_labeled.mat`` with ``splits.mat`` and
    ``classMapping40.mat``.
    """

    def __init__(
        self, root: Path, split: str, number: int, frames: int, seed: int, interval: float | None = None
    ) -> None:
        self.root, self.split, self.frames = root, split, frames
        self.interval = INTERVAL if interval is None else interval
        self.labelled = labelled_position(frames)
        kind = room_type(np.random.default_rng(sequence_key("room", split, number, seed)))
        self.number = 2 * number + (split == "test")
        self.scene = f"{kind}_{self.number:04d}"

    def raw_name(self, frame: int, kind: str) -> str:
        """``r-<seconds>-<ticks>.ppm`` or ``d-<seconds>-<ticks>.pgm``; depth comes 2 ms after colour."""
        seconds = _FIRST_SECOND + 100 * self.number + frame * self.interval + (0.002 if kind == "d" else 0)
        return f"{kind}-{seconds:.6f}-{round(seconds * 6e7) % 2**32}.{'ppm' if kind == 'r' else 'pgm'}"

    def paths(self, frame: int) -> dict[str, Path]:
        """What belongs to a frame of this sequence, by content."""
        plain, raw = self.root / "frames" / self.split / self.scene, self.root / "raw" / self.scene
        paths = {
            "truth": self.root / "truth" / self.split / self.scene / f"{frame:05d}.npz",
            "color": plain / f"{frame:05d}_color.png",
            "depth": plain / f"{frame:05d}_depth_filled.png",
            "raw color": raw / self.raw_name(frame, "r"),
            "raw depth": raw / self.raw_name(frame, "d"),
            "index": raw / "INDEX.txt",
        }
        if frame == self.labelled:
            paths["labels"] = plain / f"{frame:05d}_label40.png"
        return paths

    def write(self, number: int, frame: Frame) -> None:
        """Write all files of a frame."""
        height, width = frame.depth.shape
        header = f"{width} {height}\n".encode()
        names = [self.raw_name(number, kind) for number in range(self.frames) for kind in "rd"]
        contents = {
            "color": lambda: png(frame.image),
            "depth": lambda: png(
                np.round(np.minimum(frame.depth / METRES_PER_UNIT, 65535)).astype(np.uint16)
            ),
            "labels": lambda: png(frame.labels),
            "raw color": lambda: b"P6\n" + header + b"255\n" + raw_color(frame.image).tobytes(),
            # The recordings hold the low byte first, against the PGM format.
            "raw depth": lambda: (
                b"P5\n" + header + b"65535\n" + raw_depth(frame.noisy_depth).astype("<u2").tobytes()
            ),
            "index": lambda: ("\n".join(names) + "\n").encode(),
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
        """Write the three .mat files, unless they are there for these sequences."""
        train, test = counts["train"], counts["test"]
        numbers = np.arange(1, train + test + 1, dtype=np.uint16)[:, None]
        splits = _mat({"trainNdxs": numbers[:train], "testNdxs": numbers[train:]})
        names = np.array(_NAMES, object)[None]
        mapping = _mat(
            {"mapClass": np.arange(1, 41, dtype=np.uint8)[None], "className": names, "allClassName": names}
        )
        labelled, last = root / "nyu_depth_v2_labeled.mat", root / "splits.mat"
        if labelled.exists() and last.exists() and last.read_bytes() == splits:
            return
        sequences = [
            NYUDv2Sequence(root, split, number, frames, seed, interval)
            for split in counts
            for number in range(counts[split])
        ]
        _write_labelled(labelled, sequences)
        write_bytes(root / "classMapping40.mat", mapping)
        write_bytes(last, splits)


def _mat(content: dict[str, np.ndarray]) -> bytes:
    """A MATLAB 5 file without the date that its header would carry."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, do_compression=True)
    return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]


def instance_numbers(labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """NYUDv2's instance map [H, W] uint8: objects numbered from 1 within each class."""
    numbers = np.zeros(labels.shape, np.uint8)
    for label in np.unique(labels[labels > 0]):
        mask = labels == label
        numbers[mask] = np.minimum(np.unique(instances[mask], return_inverse=True)[1] + 1, 255)
    return numbers


def _write_labelled(path: Path, sequences: list[NYUDv2Sequence]) -> None:
    """The labelled frames in MATLAB's 7.3 format: HDF5 whose axes are the reverse of MATLAB's."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("h5py: rooms need it; run 'pip install tessella[nyudv2]'") from error
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    classes = {"uint8": b"uint8", "uint16": b"uint16", "float32": b"single"}
    try:
        with h5py.File(beside, "w", userblock_size=512) as file:
            for place, entry in enumerate(sequences):
                paths = entry.paths(entry.labelled)
                with np.load(paths["truth"]) as truth:
                    labels, depth, noisy = truth["labels"], truth["depth"], truth["noisy_depth"]
                    instances = instance_numbers(labels, truth["instances"])
                image = read_image(paths["color"])
                content = {"images": image, "depths": depth, "rawDepths": noisy}
                content |= {"labels": labels.astype(np.uint16), "instances": instances}
                for name, values in content.items():
                    values = values.T
                    if not place:
                        shape = (len(sequences), *values.shape)
                        chunks = (1, *values.shape)
                        data = file.create_dataset(name, shape, values.dtype, chunks=chunks, compression=1)
                        data.attrs["MATLAB_class"] = np.bytes_(classes[str(values.dtype)])
                    file[name][place] = values
            _write_cells(file, "names", _NAMES)
            _write_cells(file, "scenes", [entry.scene for entry in sequences])
            _write_cells(file, "sceneTypes", [entry.scene.rpartition("_")[0] for entry in sequences])
            for name, kind in (("rawRgbFilenames", "r"), ("rawDepthFilenames", "d")):
                files = [f"{entry.scene}/{entry.raw_name(entry.labelled, kind)}" for entry in sequences]
                _write_cells(file, name, files)
        with beside.open("r+b") as opened:
            opened.write(b"MATLAB 7.3 MAT-file HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_cells(file: "h5py.File", name: str, texts: list[str]) -> None:  # noqa: F821
    """A 1 x N cell array of strings."""
    import h5py

    references = []
    for number, text in enumerate(texts):
        cell = file.create_dataset(
            f"#refs#/{name}{number}", data=np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]
        )
        cell.attrs["MATLAB_class"] = np.bytes_(b"char")
        cell.attrs["MATLAB_int_decode"] = np.int32(2)
        references.append(cell.ref)
    data = file.create_dataset(name, data=np.array([references], h5py.ref_dtype))
    data.attrs["MATLAB_class"] = np.bytes_(b"cell")
