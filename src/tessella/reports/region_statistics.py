"""How well the regions of a prepared video are found again in its other frames (thesis, figure 3.3)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from tessella.datasets.prepared_folder import PreparedFolder, open_arrays
from tessella.reports.style import PERCENT, SERIES, style_axes


class RegionStatistics(NamedTuple):
    """Of all regions of all targets: size in pixels, and the share of the other frames they are found in."""

    sizes: Int[np.ndarray, " regions"]
    found: Float[np.ndarray, " regions"]

    @property
    def covered(self) -> float:
        """The share of a target's pixels whose region is found in another frame, on average."""
        return float(np.average(self.found, weights=self.sizes)) if len(self.sizes) else float("nan")


def count_regions(folder: PreparedFolder, targets: int = 100) -> RegionStatistics:
    """Of so many targets, spread evenly over all that were prepared. Of several levels the first is counted.

    Raises InputError where a file is damaged.
    """
    root = folder.correspondences("x").parent
    files = sorted(root.rglob("*.npz"))
    sizes, found = [np.zeros(0, int)], [np.zeros(0)]
    for index in np.unique(np.linspace(0, len(files) - 1, targets).round().astype(int)) if files else ():
        target = files[index].relative_to(root).with_suffix("").as_posix()
        with open_arrays(files[index]) as archive:
            own = archive[target][0]
            others = [archive[name][0] for name in archive if name != target]
        of_target = np.bincount(own[own >= 0])
        seen = np.zeros(len(of_target))
        for other in others:
            seen[np.unique(other[other >= 0])] += 1
        real = of_target > 0
        sizes.append(of_target[real])
        found.append(seen[real] / max(len(others), 1))
    return RegionStatistics(np.concatenate(sizes), np.concatenate(found))


def draw_regions(statistics: RegionStatistics) -> Figure:
    """How many regions there are of each size, and in how many of the other frames these are found."""
    figure = Figure(figsize=(7.6, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    smallest = int(statistics.sizes.min(initial=10**6))
    edges = np.geomspace(smallest, max(int(statistics.sizes.max(initial=1)), smallest) + 1, 21)
    bins = np.digitize(statistics.sizes, edges) - 1
    shares = [
        statistics.found[bins == index].mean() if (bins == index).any() else np.nan for index in range(20)
    ]
    counts = np.bincount(bins, minlength=20)[:20] / max(len(bins), 1)
    for axes, heights, label in ((left, counts, "Regions"), (right, shares, "Frames that have them")):
        style_axes(axes)
        axes.bar(edges[:-1], heights, 0.88 * np.diff(edges), align="edge", color=SERIES[0], alpha=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("Pixels of the region")
        axes.set_ylabel(label)
        axes.yaxis.set_major_formatter(PERCENT)
    right.set_ylim(0, 1)
    return figure
