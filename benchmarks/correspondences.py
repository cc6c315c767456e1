"""Regions found again in other frames, on a real video and in rendered rooms, and how their constants were chosen.

    python benchmarks/correspondences.py --data FOLDER [--parts real rooms choice]

FOLDER (or TESSELLA_DATA) holds nyudv2_dining_room_0036, the NYUDv2 sequence that the authors of STD2P published: 101
frames in steps of 3, of which number 50 is the target. Whole frames are matched, and judged in the authors' crop, which
has 200 of the target's regions. Where its pixels go is judged by dense flow, chained from the target while flow back
agrees: DIS in OpenCV's medium preset, kin to what the matching uses, and DeepFlow, which the matching never sees. In
rendered rooms (240x320, depth as a Kinect measures it) it is exact; distances there are in frames.

covered: share of the target's pixels whose region is found anywhere in the frame. wrong: share of other ids, of the
pixels that can be followed and have an id. right: share of the right id, of all that can be followed.
achievable: mean IoU of 13 classes if each region took its most frequent label. carried: the same of the other frames,
where they have an id, with the labels of the target's regions. evenness: how many regions of one size are as likely to
hold two pixels together. The choice is one of how many times as many leaves, and regions matched, as the target has.

Parts that are not run keep what the file has.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from tessella.datasets import NYUDv2Frames
from tessella.datasets.nyudv2_classes import index_of_id40
from tessella.files import write_json
from tessella.pooling.correspondence import match
from tessella.pooling.depth import fill_depth
from tessella.pooling.flow import Motion, positions
from tessella.pooling.superpixels import LEAVES, MATCHED, RegionHierarchy, region_hierarchy, superpixels
from tessella.runs.environment import environment
from tessella.scenes import Frame, sequence

OUT = Path(__file__).with_name("results") / "correspondences.json"
REGIONS, ROOMS = 200, 6
WHOLE, CROP = np.s_[0:240, 0:320], np.s_[45:470, 40:600]
AUTHORS = {"3-15": 0.786, "18-30": 0.754, "33-60": 0.71, "63-90": 0.652, "93-120": 0.535, "123-150": 0.385}
"""What they cover, by distance in raw frames."""
AUTHORS_WRONG = {"3": 0.17, "30": 0.18, "60": 0.24, "90": 0.28, "150": 0.37, "mean": 0.264}

Place = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""Frames from the target, and where its pixels are there: column, row, whether that is known."""
Table = dict[str, dict[str, float]]
Parts = dict[str, Callable[[Path], Table]]


class Video(NamedTuple):
    """Images and filled depth, the target in the middle; labels where known; of what is rendered, all that is."""

    pictures: list[tuple[np.ndarray, np.ndarray]]
    motions: list[Motion]
    labels: list[np.ndarray]
    frames: list[Frame]
    places: list[Place]

    def trees(self, leaves: int = LEAVES) -> list[RegionHierarchy]:
        return [region_hierarchy(*picture, leaves * REGIONS) for picture in self.pictures]

    def find(
        self, trees: list[RegionHierarchy], regions: int = REGIONS, matched: int = MATCHED
    ) -> np.ndarray:
        cuts = [tree.cut(matched * REGIONS) for tree in trees]
        target = len(trees) // 2
        cuts[target] = trees[target].cut(regions)
        return match(cuts, self.motions, target)


def run(parts: Parts) -> None:
    parser = argparse.ArgumentParser(description="Measures, and writes what it measured to a file.")
    parser.add_argument("--data", type=Path, default=os.environ.get("TESSELLA_DATA", "."))
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for part in options.parts:
        table = parts[part](options.data / "nyudv2_dining_room_0036")
        table = {name: {k: round(float(v), 4) for k, v in row.items()} for name, row in table.items()}
        before = json.loads(options.out.read_text()) if options.out.exists() else {}
        write_json(options.out, before | {part: table} | environment())
        print(f"\n{part}")
        for name, row in table.items():
            print(f"{name:26}", *(f"{column} {value:g}  " for column, value in row.items()))


def real(folder: Path) -> Table:
    video = dining_room(folder)
    trees = video.trees()
    counts = range(REGIONS, 2 * REGIONS)
    in_frame = next(n for n in counts if len(np.unique(trees[50].cut(n)[CROP])) >= REGIONS)
    maps = video.find(trees, in_frame)[(..., *CROP)]
    table = {
        "regions": {"in the crop": len(np.unique(maps[50])), "in the frame": in_frame},
        "with depth": quality([superpixels(*video.pictures[50])], video.labels),
        "without depth": quality([superpixels(video.pictures[50][0])], video.labels),
        "authors, covered": AUTHORS | {"mean": 0.611},
        "authors, wrong": AUTHORS_WRONG,
    }
    for flow in ("DIS", "DeepFlow"):
        rows = list(scores(maps, judge(folder, flow)))
        for band in AUTHORS:
            near, far = map(int, band.split("-"))
            table[f"{flow} {band}"] = mean(row for row in rows if near <= 3 * row[0] <= far)
        table[f"{flow} mean"] = mean(rows)
    return table


def rooms(folder: Path) -> Table:
    rows = [row for room in rendered() for row in scores(room.find(room.trees()), room.places)]
    return {str(distance): mean(row for row in rows if row[0] == distance) for distance in (1, 3, 5, 10)}


def choice(folder: Path) -> Table:
    table: Table = {}
    every = [frame for room in rendered() for frame in room.frames]
    labels = [each for room in rendered() for each in room.labels]
    for leaves in (2, 4, 6, 10, 20):
        trees = [room.trees(leaves) for room in rendered()]
        cuts = quality([tree.cut(REGIONS) for room in trees for tree in room], labels)
        real_trees = dining_room(folder).trees(leaves)
        for matched in sorted({1, 2, leaves}):
            rows, carried = [], np.zeros((13, 13), np.int64)
            for room, its_trees in zip(rendered(), trees, strict=True):
                maps = room.find(its_trees, matched=matched)
                rows += scores(maps, room.places)
                most = most_frequent(maps[10], room.labels[10])
                carried += sum(confusion(maps[n], room.labels[n], most) for n in range(21) if n != 10)
            maps = dining_room(folder).find(real_trees, matched=matched)[(..., *CROP)]
            real_mean = mean(scores(maps, judge(folder, "DIS")))
            table[f"{leaves} leaves, {matched} matched"] = {
                **cuts,
                "carried": mean_iou(carried),
                **{f"rooms, {name}": value for name, value in mean(rows).items()},
                **{f"real, {name}": value for name, value in real_mean.items()},
            }
    variants: dict[str, Callable[[Frame], np.ndarray]] = {
        **{f"{n} regions": lambda f, n=n: superpixels(f.image, filled(f), n) for n in (100, 200, 400, 800)},
        **{m: lambda f, m=m: superpixels(f.image, None, 200, m) for m in ("slic", "seeds", "felzenszwalb")},
        "200, no depth": lambda f: superpixels(f.image),
        "200, exact depth": lambda f: superpixels(f.image, f.depth),
    }
    return table | {name: quality([make(f) for f in every], labels) for name, make in variants.items()}


PARTS: Parts = {"real": real, "rooms": rooms, "choice": choice}


@cache
def dining_room(folder: Path) -> Video:
    sample = NYUDv2Frames(folder, "all", depth=True, neighbours=range(-50, 51))[0]
    frames = [*sample.neighbours[:50], sample, *sample.neighbours[50:]]
    motions = [Motion.between(a.image, b.image) for a, b in pairwise(frames)]
    return Video(
        [(frame.image, fill_depth(frame.depth)) for frame in frames], motions, [sample.labels], [], []
    )


@cache
def judge(folder: Path, name: str) -> list[Place]:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search = dis if name == "DIS" else cv2.optflow.createOptFlow_DeepFlow()
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image, _ in dining_room(folder).pictures]
    moved = [Motion.between(*pair, lambda a, b: search.calc(a, b, None)) for pair in pairwise(greys)]
    later = followed([(m.forward, m.forward_holds) for m in moved[50:]], 1, CROP)
    return [*later, *followed([(m.backward, m.backward_holds) for m in moved[:50][::-1]], -1, CROP)]


@cache
def rendered() -> list[Video]:
    videos = []
    for room in range(ROOMS):
        frames = list(sequence("room", (7, room), 21))
        later = followed([(f.flow_forward, f.visible_forward) for f in frames[10:-1]], 1)
        earlier = followed([(f.flow_backward, f.visible_backward) for f in frames[1:11][::-1]], -1)
        motions = [Motion.between(a.image, b.image) for a, b in pairwise(frames)]
        labels = [index_of_id40(13)[frame.labels] for frame in frames]
        pictures = [(frame.image, filled(frame)) for frame in frames]
        videos.append(Video(pictures, motions, labels, frames, [*later, *earlier]))
    return videos


def filled(frame: Frame) -> np.ndarray:
    return fill_depth(frame.noisy_depth)


def followed(
    steps: Sequence[tuple[np.ndarray, np.ndarray]], direction: int, crop: tuple[slice, slice] = WHOLE
) -> Iterator[Place]:
    """steps: flow to the next frame, and where it holds. What leaves the crop is lost."""
    rows, columns = crop
    x, y = positions(np.zeros_like(steps[0][0]))
    known = np.ones(x.shape, bool)
    for frames, (flow, holds) in enumerate(steps, 1):
        known = known & (cv2.remap(holds.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0)
        moved = cv2.remap(flow, x, y, cv2.INTER_LINEAR)
        x, y = x + moved[..., 0], y + moved[..., 1]
        known &= (x >= columns.start) & (x < columns.stop - 1) & (y >= rows.start) & (y < rows.stop - 1)
        yield direction * frames, x[crop] - columns.start, y[crop] - rows.start, known[crop]


def scores(maps: np.ndarray, places: Iterable[Place]) -> Iterator[tuple[float, ...]]:
    """Distance in frames, covered, wrong, right."""
    wanted = maps[len(maps) // 2]
    for frames, x, y, known in places:
        found = maps[len(maps) // 2 + frames]
        ids = cv2.remap(found.astype(np.float32), np.rint(x), np.rint(y), cv2.INTER_NEAREST, borderValue=-1)
        same, other = (known & (ids == wanted)).sum(), (known & (ids != wanted) & (ids >= 0)).sum()
        covered = np.isin(wanted, found[found >= 0]).mean()
        yield abs(frames), covered, other / max(same + other, 1), same / max(known.sum(), 1)


def mean(rows: Iterable[tuple[float, ...]]) -> dict[str, float]:
    return dict(zip(("covered", "wrong", "right"), np.mean(list(rows), axis=0)[1:], strict=True))


def most_frequent(regions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return confusion(regions, labels, np.arange(regions.max() + 1)).argmax(1)


def confusion(regions: np.ndarray, labels: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Pixels by what their region is given and by their class."""
    counted = (labels < 13) & (regions >= 0)
    pairs = given[regions[counted]] * 13 + labels[counted]
    return np.bincount(pairs, minlength=13 * max(13, int(given.max()) + 1)).reshape(-1, 13)


def mean_iou(counts: np.ndarray) -> float:
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return (counts.diagonal()[union > 0] / union[union > 0]).mean()


def quality(maps: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> dict[str, float]:
    counts = sum(confusion(m, own, most_frequent(m, own)) for m, own in zip(maps, labels, strict=True))
    sizes = [np.bincount(regions.ravel()) for regions in maps]
    evenness = np.mean([size.sum() ** 2 / (size.astype(float) ** 2).sum() for size in sizes])
    regions = np.mean([np.count_nonzero(size) for size in sizes])
    return {"regions": regions, "achievable": mean_iou(counts), "evenness": evenness}


if __name__ == "__main__":
    run(PARTS)
