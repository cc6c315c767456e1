"""The work of preparing videos: each call writes files of its own, complete or not at all, in any process."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import higra  # noqa: F401  here, not amid work: Ctrl-C while it is imported printed a warning
import numpy as np

from tessella.datasets.file_dataset import FileDataset, Record
from tessella.datasets.prepared_folder import PreparedFolder, encode_flow, read_arrays, read_flow
from tessella.errors import naming
from tessella.files import npz, png, write_bytes
from tessella.pooling.correspondence import follow, vote
from tessella.pooling.depth import fill_depth
from tessella.pooling.flow import Motion
from tessella.pooling.hha import hha
from tessella.pooling.superpixels import LEAVES, MATCHED, RegionHierarchy, region_hierarchy
from tessella.runs.flows import load_flow


def describe_frame(
    reader: FileDataset, record: Record, folder: PreparedFolder, paths: Sequence[Path], regions: int
) -> None:
    """HHA and regions of a frame, those of ``paths`` that do not exist.

    regions: the most that a target has, as in ``match_target``.
    """
    todo = [path for path in paths if not path.exists()]
    frame = reader.read_frame(record)
    depth = frame.depth
    camera = reader.camera(record, *frame.image.shape[:2])
    if depth is not None:
        with naming(record.depth or record.image):
            missing, depth = depth <= 0, fill_depth(depth)
            if folder.hha(record.id) in todo and camera is not None:
                guessed = reader.read_guessed(record)
                if guessed is not None:
                    missing |= guessed
                write_bytes(folder.hha(record.id), png(hha(depth, camera, missing)))
    if folder.regions(record.id) in todo:
        with naming(record.image):
            hierarchy = region_hierarchy(frame.image, depth, LEAVES * regions)
        write_bytes(folder.regions(record.id), npz(vars(hierarchy).items()))


def follow_pair(
    reader: FileDataset, first: Record, second: Record, paths: tuple[Path, Path], flow: str
) -> None:
    """Flow from a frame to the next, and back; by what ``load_flow`` has under that name."""
    images = reader.read_image(first), reader.read_image(second)
    for path, (here, there) in zip(paths, (images, images[::-1]), strict=True):
        if not path.exists():
            with naming(f"{first.image} and {second.image.name}"):
                moved = load_flow(flow)(here, there)
            write_bytes(path, png(encode_flow(moved)))


def match_target(
    reader: FileDataset, record: Record, folder: PreparedFolder, levels: Sequence[int] | None
) -> None:
    """The target's regions in all frames of its window.

    levels: how many regions on each; None takes every pixel for one, row * W + column its id.
    """
    if levels is None:
        height, width = reader.read_image(record).shape[:2]
        wanted = np.arange(height * width, dtype=np.int32).reshape(1, height, width)
    else:
        hierarchy = _read_hierarchy(folder, record.id)
        wanted = np.stack([hierarchy.cut(regions) for regions in levels])

    def maps() -> Iterator[tuple[str, np.ndarray]]:
        yield record.id, wanted
        later, earlier = record.neighbours[record.earlier :], record.neighbours[: record.earlier][::-1]
        for frames, is_later in ((later, True), (earlier, False)):
            steps = (
                _step_back(folder, near.id, far.id, is_later) for near, far in pairwise((record, *frames))
            )
            for frame, origin in zip(frames, follow(wanted.shape[1:], steps), strict=True):
                found = origin.read(wanted)
                if levels is not None:
                    found = vote(found, _read_hierarchy(folder, frame.id).cut(MATCHED * max(levels)))
                yield frame.id, found

    write_bytes(folder.correspondences(record.id), npz(maps()))


def _read_hierarchy(folder: PreparedFolder, id_: str) -> RegionHierarchy:
    return RegionHierarchy(*read_arrays(folder.regions(id_), ["finest", "parents", "altitudes"]))


def _step_back(folder: PreparedFolder, near: str, far: str, is_later: bool) -> tuple[np.ndarray, np.ndarray]:
    """Flow from the farther frame to the nearer, and where it holds."""
    motion = Motion(*map(read_flow, folder.flows(near, far) if is_later else folder.flows(far, near)))
    return (motion.backward, motion.backward_holds) if is_later else (motion.forward, motion.forward_holds)
