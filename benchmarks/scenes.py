"""Frames per second of the renderer on one core, at 320 x 240 with everything but writing files.

Processor time is measured, so that other work on the machine counts little; streets and rooms take turns.

    python benchmarks/scenes.py [--out benchmarks/results/scenes.json]
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from tessella.scenes import render, sequence

FRAMES = 10
SEQUENCES = 7


def video_seconds(kind: str, seed: int) -> float:
    """Per frame of a video: image, both depths, normals, labels, flow and visibility both ways."""
    start = time.process_time()
    for _ in sequence(kind, (1, seed), FRAMES):
        pass
    return (time.process_time() - start) / FRAMES


def single_seconds(kind: str, seed: int) -> float:
    """Of a sequence of one frame, which pays for building its scene alone."""
    start = time.process_time()
    next(sequence(kind, (1, seed), 1))
    return time.process_time() - start


def file_seconds(kind: str) -> float:
    """Per frame of a video rendered and written."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        render(kind, Path(folder), sequences={"train": 2}, frames=FRAMES)
        return (time.process_time() - start) / (2 * FRAMES)


def processor() -> str:
    """Name of the processor where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scenes.json")
    out = parser.parse_args().out
    cv2.setNumThreads(1)
    kinds = ("street", "room")
    for kind in kinds:
        next(sequence(kind, 0, 1))
    times: dict[str, dict[str, list[float]]] = {kind: {"video": [], "single": []} for kind in kinds}
    for seed in range(SEQUENCES):
        for kind in kinds:
            times[kind]["video"].append(video_seconds(kind, seed))
            times[kind]["single"].append(single_seconds(kind, seed))
    result = {
        "what": "320 x 240, one core, processor time; median over sequences",
        "machine": {"processor": processor(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__},
        "frames_per_sequence": FRAMES,
        "sequences": SEQUENCES,
    }
    for kind in kinds:
        result[kind] = {
            "video_frames_per_second": round(1 / median(times[kind]["video"]), 1),
            "fastest_video_frames_per_second": round(1 / min(times[kind]["video"]), 1),
            "single_frames_per_second": round(1 / median(times[kind]["single"]), 1),
            "video_frames_per_second_with_files": round(1 / file_seconds(kind), 1),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
