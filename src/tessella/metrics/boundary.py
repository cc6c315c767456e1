"""Boundary precision and recall: do labels change where the ground truth changes?

The protocol of the Berkeley segmentation benchmark (Arbelaez, Maire, Fowlkes and Malik, "Contour detection
and hierarchical image segmentation", TPAMI 2011, section 2), for semantic boundaries:

- The strength of a boundary at a pixel is the largest difference of the posteriors to its right and its lower
  neighbour, over both neighbours and all classes. Looking one way only keeps a boundary one pixel wide.
- The true boundary is where the label changes to the right or below and neither pixel is ignored. Where one
  is, the prediction does not count either.
- Both are thinned to lines, the prediction at each threshold of the strength. Their pixels are matched one
  to one, no farther apart than a share of the image's diagonal, as many as possible.
- Precision is the matched share of the predicted pixels, recall that of the true, summed over the images.
- The score is the average precision: the area under the highest precision reached at each recall or above.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, Integer, Shaped
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from tessella.errors import InputError
from tessella.metrics.distributed import sum_over_processes

DEFAULT_THRESHOLDS = tuple(np.geomspace(0.005, 0.95, 24).tolist())
"""At even ratios: upsampled posteriors change by little from pixel to pixel, sharp ones by up to 1."""


def boundary_strength(
    posteriors: Float[Tensor, "*batch classes height width"],
) -> Float[Tensor, "*batch height width"]:
    """How much the posteriors change from each pixel to its right or lower neighbour, in 0 to 1."""
    strength = posteriors.new_zeros(posteriors.shape[:-3] + posteriors.shape[-2:])
    to_right = posteriors.diff(dim=-1).abs().amax(-3)
    down = posteriors.diff(dim=-2).abs().amax(-3)
    strength[..., :-1] = to_right
    strength[..., :-1, :] = torch.maximum(strength[..., :-1, :], down)
    return strength


def label_boundaries(
    labels: Shaped[Tensor, "*batch height width"], ignore_index: int = 255
) -> Bool[Tensor, "*batch height width"]:
    """Pixels whose right or lower neighbour has another label, where neither is ignored."""
    known = labels != ignore_index
    boundary = torch.zeros_like(known)
    boundary[..., :-1] = (labels[..., :-1] != labels[..., 1:]) & known[..., :-1] & known[..., 1:]
    boundary[..., :-1, :] |= (
        (labels[..., :-1, :] != labels[..., 1:, :]) & known[..., :-1, :] & known[..., 1:, :]
    )
    return boundary


def thinned(boundary: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """A boundary of any width as lines one pixel wide (Guo and Hall, CACM 1989)."""
    picture = np.where(boundary, np.uint8(255), np.uint8(0))
    return cv2.ximgproc.thinning(picture, thinningType=cv2.ximgproc.THINNING_GUOHALL) > 0


def match_boundaries(
    predicted: Bool[np.ndarray, "height width"], true: Bool[np.ndarray, "height width"], radius: float
) -> int:
    """How many pairs of a predicted and a true pixel at most `radius` apart there can be, no pixel in two.

    This maximum bipartite matching is found as a maximum flow from a source through the predicted and the
    true pixels to a sink, because SciPy's own matching takes minutes on some dense boundaries.
    """
    reach = int(radius)
    rows_away = np.arange(-reach, reach + 1)
    half_widths = (np.hypot(rows_away[:, None], np.arange(1, reach + 1)) <= radius).sum(axis=1)

    # True pixels are numbered row by row, so those within reach in one row have consecutive numbers: from how
    # many there are before that stretch of the row to how many there are before its end.
    padded = np.pad(true, reach)
    true_before = np.concatenate([np.zeros(1, np.int32), padded.cumsum(dtype=np.int32)])
    rows, columns = np.nonzero(predicted)
    places = ((rows + reach) * padded.shape[1] + columns + reach)[:, None] + rows_away * padded.shape[1]
    first = true_before[places - half_widths]
    counts = true_before[places + half_widths + 1] - first
    edges_before = counts.cumsum(dtype=np.int32).reshape(counts.shape) - counts
    partners = np.arange(counts.sum(), dtype=np.int32) + (first - edges_before).ravel().repeat(counts.ravel())

    num_predicted, num_true = len(rows), int(true_before[-1])
    sink = num_predicted + num_true + 1
    heads = np.concatenate(
        [
            np.arange(1, num_predicted + 1, dtype=np.int32),
            partners + np.int32(num_predicted + 1),
            np.full(num_true, sink, np.int32),
        ]
    )
    edges_of_node = np.concatenate([[num_predicted], counts.sum(axis=1), np.ones(num_true, int), [0]])
    edges_until = np.concatenate([[0], edges_of_node.cumsum()]).astype(np.int32)
    graph = csr_array((np.ones_like(heads), heads, edges_until), shape=(sink + 1, sink + 1))
    return int(maximum_flow(graph, 0, sink, method="dinic").flow_value)


@dataclass(frozen=True, eq=False)
class BoundaryScores:
    """The curve and its summaries, as fractions of one.

    Precision is nan where nothing is predicted, recall where there is no true boundary.
    """

    average_precision: float
    best_f: float
    best_threshold: float
    thresholds: Float[Tensor, " thresholds"]
    precision: Float[Tensor, " thresholds"]
    recall: Float[Tensor, " thresholds"]


class BoundaryPrecisionRecall:
    """Boundary precision and recall that grow image by image.

    tolerance: the largest distance of matched pixels, as a share of the image's diagonal.
    """

    def __init__(
        self,
        thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
        tolerance: float = 0.0075,
        ignore_index: int = 255,
    ) -> None:
        if not len(thresholds) or min(thresholds) <= 0:
            raise InputError(f"thresholds are {list(thresholds)}; give at least one, all above 0")
        self.thresholds = sorted(thresholds)
        self.tolerance = tolerance
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        self.matched: Int64[Tensor, " thresholds"] = torch.zeros(len(self.thresholds), dtype=torch.int64)
        self.predicted: Int64[Tensor, " thresholds"] = torch.zeros(len(self.thresholds), dtype=torch.int64)
        self.true: Int64[Tensor, ""] = torch.zeros((), dtype=torch.int64)

    def update(
        self,
        strength: Shaped[Tensor, "batch height width"],
        target: Integer[Tensor, "batch height width"],
    ) -> None:
        """Match a batch.

        strength: from `boundary_strength` or `label_boundaries`, or of another detector, such as a region
        hierarchy, that marks a boundary at the pixel above or to the left of it.
        """
        if strength.shape != target.shape or target.ndim != 3:
            raise InputError(
                f"boundary strength has shape {tuple(strength.shape)}, target {tuple(target.shape)}; "
                "give both as [batch, height, width], the strength from boundary_strength(posteriors)"
            )
        for image_strength, image_target in zip(strength.detach().cpu(), target.cpu(), strict=True):
            self._match_image(image_strength.to(torch.float32).numpy(), image_target)

    def _match_image(
        self, strength: Float[np.ndarray, "height width"], target: Int[Tensor, "height width"]
    ) -> None:
        boundary = label_boundaries(target, self.ignore_index)
        ignored = target == self.ignore_index
        # A prediction at the edge of ignored pixels cannot be judged, unless a true boundary is there too.
        counts = (~ignored & ~label_boundaries(ignored) | boundary).numpy()
        true = thinned(boundary.numpy())
        radius = self.tolerance * float(np.hypot(*target.shape))

        self.true += int(true.sum())
        num_strong = -1
        for number, threshold in enumerate(self.thresholds):
            strong = strength >= threshold
            if strong.sum() != num_strong:  # otherwise nothing fell out since the last threshold
                num_strong = strong.sum()
                predicted = thinned(strong) & counts
                num_matched = match_boundaries(predicted, true, radius)
            self.predicted[number] += int(predicted.sum())
            self.matched[number] += num_matched

    def compute(self) -> BoundaryScores:
        precision = self.matched / self.predicted.to(torch.float64)
        recall = self.matched / self.true.to(torch.float64)
        # Where nothing was predicted or nothing was to be found, the harmonic mean is nan and never the best.
        f = (2 * precision * recall / (precision + recall)).nan_to_num(0)
        best = int(f.argmax())
        return BoundaryScores(
            average_precision=_average_precision(precision, recall),
            best_f=f[best].item() if self.true else torch.nan,
            best_threshold=self.thresholds[best],
            thresholds=torch.tensor(self.thresholds, dtype=torch.float64),
            precision=precision,
            recall=recall,
        )

    def merge(self, other: "BoundaryPrecisionRecall") -> None:
        """Add the counts of `other`, which must have the same thresholds and tolerance and ignore the same label."""
        for field in ("thresholds", "tolerance", "ignore_index"):
            if getattr(other, field) != getattr(self, field):
                raise InputError(f"cannot merge boundary curves of different {field}")
        self.matched += other.matched
        self.predicted += other.predicted
        self.true += other.true

    def all_reduce(self) -> "BoundaryPrecisionRecall":
        """The sum over all processes of a distributed run, each of which must call this; alone, a copy."""
        total = BoundaryPrecisionRecall(self.thresholds, self.tolerance, self.ignore_index)
        total.matched = sum_over_processes(self.matched)
        total.predicted = sum_over_processes(self.predicted)
        total.true = sum_over_processes(self.true)
        return total


def _average_precision(
    precision: Float[Tensor, " thresholds"], recall: Float[Tensor, " thresholds"]
) -> float:
    """Area under the highest precision reached at each recall or above; nan without a true boundary."""
    if recall.isnan().any():
        return torch.nan
    order = recall.argsort()
    reached = precision.nan_to_num(0)[order].flip(0).cummax(0).values.flip(0)
    steps = recall[order].diff(prepend=recall.new_zeros(1))
    return (steps * reached).sum().item()
