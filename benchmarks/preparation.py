"""What it takes to prepare a video for pooling, and how exact HHA is, beside what correspondences.py measures.

    python benchmarks/preparation.py --data FOLDER [--parts speed hha scaling]

FOLDER (or TESSELLA_DATA) holds nyudv2_dining_room_0036, the NYUDv2 sequence of 101 frames that the authors of STD2P
published. Speed, but for scaling, is processor time of one thread at 640x480, medians: other work on the machine
counts, if less than it would in wall time. The whole sequence goes through ``tessella data prepare`` with one worker.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from correspondences import REGIONS, ROOMS, Table, dining_room, run

from tessella.pooling.flow import Motion
from tessella.pooling.hha import ANGLE_RADIUS, hha
from tessella.pooling.superpixels import LEAVES, region_hierarchy
from tessella.scenes import sequence


def speed(folder: Path) -> Table:
    video = dining_room(folder)
    trees, some = video.trees(), video.pictures[::10]
    pairs = list(pairwise(image for image, _ in video.pictures))[::10]
    camera = np.array([[518.858, 0, 324.582], [0, 519.47, 252.736], [0, 0, 1]])
    unchecked = [[Motion(m.forward, m.backward) for m in video.motions] for _ in range(3)]
    anew = [video._replace(motions=motions) for motions in unchecked]
    seconds = {
        "HHA": timed(partial(hha, depth, camera) for _, depth in some),
        "superpixels": timed(partial(region_hierarchy, *picture, LEAVES * REGIONS) for picture in some),
        "flow both ways": timed(partial(Motion.between, *pair) for pair in pairs),
        "matching 100 frames": timed(partial(again.find, trees) for again in anew),
    }
    wall, used = whole_sequence(folder, "--workers", "1"), resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = {"processor": used.ru_utime + used.ru_stime, "wall": wall, "load": os.getloadavg()[1]}
    return {"processor seconds": seconds, "the whole sequence": whole}


def whole_sequence(folder: Path, *arguments: str) -> float:
    """Seconds of the wall that ``tessella data prepare`` takes, its start included."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "tessella.cli", "data", "prepare", "NYUDv2Frames", str(folder)]
        start = perf_counter()
        subprocess.run([*command, "--out", out, *arguments], check=True, stdout=subprocess.DEVNULL)
        return perf_counter() - start


def scaling(folder: Path) -> Table:
    """On a machine of two cores that does nothing else; the cluster's start is not counted."""
    from distributed import LocalCluster

    one, two = (whole_sequence(folder, "--workers", number) for number in "12")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        dask = whole_sequence(folder, "--scheduler", cluster.scheduler_address)
    return {"wall seconds": {"one process": one, "two processes": two, "two Dask workers": dask}}


def hha_in_rooms(folder: Path) -> Table:
    """Of exact depth at 640x480 against that of exact normals and pose, where a normal's window has one surface."""
    shares = []
    videos = [sequence("room", (7, room), 21, 480, 640, only=(0, 10, 20)) for room in range(ROOMS)]
    for frame in chain.from_iterable(videos):
        rows, columns = np.indices(frame.depth.shape)
        rays = np.stack([columns, rows, np.ones_like(rows)], axis=2) @ np.linalg.inv(frame.intrinsics).T
        points, up = rays * frame.depth[..., None], frame.pose[2, :3]
        height = 100 * (points @ up)
        height -= height.min() if height.min() <= -90 else -130
        angle = np.degrees(np.arccos(np.clip(frame.normals @ up, -1, 1))) + 38
        truth = np.dstack([310 / np.maximum(frame.depth, 1), height, angle])
        error = np.abs(hha(frame.depth, frame.intrinsics) - np.clip(np.floor(truth + 0.5), 0, 255))
        offset = (points * frame.normals).sum(2)
        surface = np.dstack([frame.normals, offset, frame.instances]).astype(np.float32)
        window = np.ones((2 * ANGLE_RADIUS + 1,) * 2)
        flat = (cv2.dilate(surface, window) - cv2.erode(surface, window) < 1e-3).all(2)
        shares.append([(error[..., 0] <= 1).mean(), *(error <= 2)[flat].mean(0)[1:], flat.mean()])
    names = ("R within 1, everywhere", "G within 2", "B within 2", "of all pixels")
    numbers = {"mean": np.mean(shares, axis=0), "worst frame": np.min(shares, axis=0)}
    return {name: dict(zip(names, row, strict=True)) for name, row in numbers.items()}


def timed(runs: Iterable[Callable[[], object]]) -> float:
    seconds = []
    for work in runs:
        start = process_time()
        work()
        seconds.append(process_time() - start)
    return median(seconds)


if __name__ == "__main__":
    run({"speed": speed, "hha": hha_in_rooms, "scaling": scaling})
