"""Superpixels of colour and depth: a hierarchy of regions between strong boundaries, cut at any number of them."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from tessella.errors import InputError

Method = Literal["hierarchy", "slic", "seeds", "felzenszwalb"]

COLOR_STEP, DEPTH_STEP = 12.0, 0.16
"""What is as likely a boundary as not: so many units of Lab, so large a bend or step of depth, as a share of it.
At 0.04 creases within objects took regions from borders of colour."""

LEAVES, MATCHED = 10, 2
"""How many times as many regions a hierarchy begins with as are wanted of it, and are matched with those of a target.
More leaves lose less of what is thin, at 20 times the regions are too uneven; benchmarks/correspondences.py chose."""


def superpixels(
    image: np.ndarray, depth: np.ndarray | None = None, regions: int = 200, method: Method = "hierarchy"
) -> np.ndarray:
    """Regions [H, W] int32, numbered from 0, of an image [H, W, 3] uint8.

    depth: [H, W] in metres, holes filled; only "hierarchy" uses it.
    regions: how many; "hierarchy" gives exactly so many if the image has them, the others about so many.
    method: "hierarchy" cuts ``region_hierarchy``; the others are OpenCV's (Achanta et al. 2012, Van den Bergh et al.
        2012, Felzenszwalb and Huttenlocher 2004).
    """
    require_image(image, depth)
    if regions < 1:
        raise InputError(f"regions: {regions} given; at least 1 is needed")
    if method == "hierarchy":
        return region_hierarchy(image, depth, LEAVES * regions).cut(regions)
    if method == "slic":
        size = max(2, round((image.shape[0] * image.shape[1] / regions) ** 0.5))
        size = min(size, *image.shape[:2])  # OpenCV looks for centres outside otherwise
        lab = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0), cv2.COLOR_RGB2Lab)
        slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLICO, size)
        slic.iterate(10)
        slic.enforceLabelConnectivity(25)
        return slic.getLabels()
    if method == "seeds":
        _require_room_for_seeds(image, regions)
        seeds = cv2.ximgproc.createSuperpixelSEEDS(image.shape[1], image.shape[0], 3, regions, 4)
        seeds.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), 10)
        return seeds.getLabels()
    if method == "felzenszwalb":
        smallest = max(1, image.shape[0] * image.shape[1] // (4 * regions))
        graph = cv2.ximgproc.segmentation.createGraphSegmentation(0.8, 300, smallest)
        return graph.processImage(image)
    raise InputError(f"method {method!r}: choose hierarchy, slic, seeds or felzenszwalb")


def _require_room_for_seeds(image: np.ndarray, regions: int) -> None:
    """InputError where OpenCV's SEEDS might read outside the image or never end: found by trying some hundred sizes."""
    height, width = image.shape[:2]
    side = (height * width / regions) ** 0.5
    if min(height, width) < 64 or not 8 <= side <= min(height, width) / 4:
        raise InputError(
            f"seeds: {regions} regions of {height}x{width}; it takes pictures of at least 64x64, and regions of 8x8 "
            "pixels up to a quarter of the shorter side; choose another method or number"
        )


@dataclass(frozen=True)
class RegionHierarchy:
    """A binary tree of regions.

    finest: [H, W], the leaves, 0 to L - 1. parents: [2 L - 1], children before parents, the root its own parent.
    altitudes: [2 L - 1], how strong the boundary between a node's children is; 0 for leaves; never less than a child's.
    """

    finest: np.ndarray
    parents: np.ndarray
    altitudes: np.ndarray

    def cut(self, regions: int) -> np.ndarray:
        """The weakest boundaries removed until so many regions remain (or all leaves, if there are fewer): [H, W]."""
        leaves = (len(self.parents) + 1) // 2
        removed = np.zeros(len(self.parents), bool)
        removed[leaves + np.argsort(self.altitudes[leaves:], kind="stable")[: max(0, leaves - regions)]] = (
            True
        )
        return self._label(removed)

    def cut_at(self, altitude: float) -> np.ndarray:
        """All boundaries up to ``altitude`` removed: [H, W]."""
        return self._label(self.altitudes <= altitude)

    def _label(self, removed: np.ndarray) -> np.ndarray:
        top = np.arange(len(self.parents))
        for node in range(len(self.parents) - 2, -1, -1):
            parent = self.parents[node]
            if removed[parent]:
                top[node] = top[parent]
        leaves = (len(self.parents) + 1) // 2
        return np.unique(top[:leaves], return_inverse=True)[1].astype(np.int32)[self.finest]


def region_hierarchy(
    image: np.ndarray, depth: np.ndarray | None = None, finest: int = 2000
) -> RegionHierarchy:
    """Basins of the boundary strength, brought to ``finest`` regions by area and then merged by their borders.

    First the smallest give way, then those with the least mean strength along their common border, as in an ultrametric
    contour map (Arbelaez et al., PAMI 2011). Without the first, a cut consists of slivers and one giant; for the same
    end altitudes are multiplied by the fourth root of the smaller side's area.
    """
    import higra

    strength = boundary_strength(image, depth)
    pixels = higra.get_4_adjacency_graph(strength.shape)
    edges = higra.weight_graph(pixels, strength.astype(np.float64), higra.WeightFunction.mean)
    basins = higra.labelisation_watershed(pixels, edges)
    graph, leaves, border, length = _adjacency(pixels, edges, basins)
    if graph.num_vertices() > finest:
        largest = _largest(graph, leaves, edges, finest)
        graph, leaves, border, length = _adjacency(pixels, edges, largest)
    if graph.num_vertices() == 1:
        return RegionHierarchy(leaves, np.zeros(1, np.int64), np.zeros(1))
    tree, altitudes = higra.binary_partition_tree_average_linkage(graph, border, length)
    parents = tree.parents()
    return RegionHierarchy(leaves, parents, _balanced(parents, altitudes, np.bincount(leaves.ravel())))


def _largest(graph: Any, basins: np.ndarray, edges: np.ndarray, number: int) -> np.ndarray:
    """The basins [H, W] flooded over their lowest passes, the smallest first, until so many remain."""
    import higra

    passes = higra.rag_accumulate_on_edges(graph, higra.Accumulators.min, edges)
    tree, _ = higra.bpt_canonical(graph, passes)
    areas = higra.attribute_area(tree, np.bincount(basins.ravel()))
    smaller = higra.accumulate_parallel(tree, areas, higra.Accumulators.min)[graph.num_vertices() :]
    passed = higra.CptBinaryHierarchy.construct(tree)["mst"]  # edge i is node i of the tree, less its leaves
    tree, altitudes = higra.bpt_canonical(passed, smaller)
    return RegionHierarchy(basins, tree.parents(), altitudes).cut(number)


def _adjacency(
    pixels: Any, edges: np.ndarray, labels: np.ndarray
) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Which regions touch: the graph, its vertices' pixels [H, W], and each border's mean strength and length."""
    import higra

    graph = higra.make_region_adjacency_graph_from_labelisation(pixels, labels)
    vertices = higra.rag_back_project_vertex_weights(graph, np.arange(graph.num_vertices()))
    border = higra.rag_accumulate_on_edges(graph, higra.Accumulators.mean, edges)
    length = higra.rag_accumulate_on_edges(graph, higra.Accumulators.sum, np.ones_like(edges))
    return graph, vertices.astype(np.int32), border, length


def _balanced(parents: np.ndarray, altitudes: np.ndarray, leaf_areas: np.ndarray) -> np.ndarray:
    leaves = len(leaf_areas)
    area = np.concatenate([leaf_areas, np.zeros(len(parents) - leaves, np.int64)])
    smaller = np.full(len(parents), np.iinfo(np.int64).max)
    least = np.zeros(len(parents))
    balanced = np.zeros(len(parents))
    for node, parent in enumerate(parents):
        if node >= leaves:
            balanced[node] = max(least[node], altitudes[node] * smaller[node] ** 0.25)
        if parent != node:
            area[parent] += area[node]
            smaller[parent] = min(smaller[parent], area[node])
            least[parent] = max(least[parent], balanced[node])
    return balanced


def boundary_strength(image: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
    """How likely a boundary runs through each pixel, [H, W] float32 from 0 to 1, of colour and depth [H, W] together.

    Colour: the gradient in Lab at two scales. Depth: the bend of inverse depth, which is none on any plane.

    Raises InputError where the image is not uint8 [H, W, 3], or depth is of another size or has holes.
    """
    require_image(image, depth)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    evidence = np.zeros(image.shape[:2], np.float32)
    for sigma in (1.0, 2.0):
        smooth = cv2.GaussianBlur(lab, (0, 0), sigma)
        right, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=sigma / 16) for axis in ((1, 0), (0, 1)))
        evidence += np.sqrt((right**2 + down**2).sum(2)) / (2 * COLOR_STEP)
    if depth is not None:
        inverse = cv2.GaussianBlur(1 / np.maximum(depth, 0.1).astype(np.float32), (0, 0), 1)
        across = np.array([[1, 0, -2, 0, 1]], np.float32)
        bends = (
            np.abs(cv2.filter2D(inverse, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE))
            for kernel in (across, across.T)
        )
        evidence += np.maximum(*bends) / inverse / DEPTH_STEP
    # Never quite 1: on a plateau the watershed would run anywhere.
    return evidence / (1 + evidence)


def require_image(image: np.ndarray, depth: np.ndarray | None) -> None:
    """InputError unless the image is [H, W, 3] uint8, 2x2 at least, and the depth, if any, of its size and there."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"the image is {image.dtype} {list(image.shape)}: give uint8 [H, W, 3]")
    if min(image.shape[:2]) < 2:
        raise InputError(f"the image is {list(image.shape)}: give at least 2x2 pixels")
    if depth is None:
        return
    if depth.shape != image.shape[:2]:
        raise InputError(f"depth is {list(depth.shape)}, the image {list(image.shape[:2])}: give one size")
    if not np.isfinite(depth).all() or (depth <= 0).all():
        raise InputError("depth has holes that are not numbers, or misses altogether: fill it first")
