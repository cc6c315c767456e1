"""What sampled images are worth: nearness to the real image, variety, and the verdicts of judges."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tessella.datasets.conditions import is_normals
from tessella.datasets.loading import planes
from tessella.datasets.pairs import Pair, own_image
from tessella.errors import InputError
from tessella.image_generation.judges import KINDS, AnyJudge
from tessella.metrics import (
    FeatureDeviation,
    best_of,
    best_of_any,
    distance_to_mean,
    frechet_distance,
    fsim,
    kernel_distance,
    mean_of_top,
    normal_errors,
    normal_scores,
    pairwise_distance,
    precision_recall_density_coverage,
    rmse,
    ssim,
)

Judges = Sequence[AnyJudge]


class ImageScores:
    """Gathers the scores of the samples of one condition after another; no image is kept.

    judges: at most one of each kind. at_once: samples that are looked at together: what judges see in
    them takes a hundred times the memory of their pixels.
    """

    def __init__(self, judges: Judges, at_once: int = 32) -> None:
        kinds = [judge.kind for judge in judges]
        if unknown := set(kinds).difference(KINDS):
            raise InputError(f"judges: of kind {min(unknown)}; there are {', '.join(KINDS)}")
        if len(set(kinds)) < len(kinds):
            raise InputError(
                f"judges: two of them are for {max(kinds, key=kinds.count)}; give one of each kind"
            )
        self.judges: dict[str, Any] = dict(zip(kinds, judges, strict=True))
        self.at_once = at_once
        self.errors: dict[str, list[Tensor]] = {}
        self.variety: dict[str, list[float]] = {}
        self.angles: list[Tensor] = []
        self.real_angles: list[Tensor] = []
        self.real: list[Tensor] = []
        self.sampled: list[Tensor] = []

    @torch.no_grad()
    def update(self, pair: Pair, images: Tensor) -> None:
        """images: [n, 3, H, W], 0 to 255, of any type, of the pair's condition.

        Raises InputError where a judge reads other conditions than the pair's.
        """
        self._require_judged(pair)
        real = planes(own_image(pair)).to(images.device)[None].float()
        parts = images.split(self.at_once)
        for name, measure in {"rmse": rmse, "ssim": ssim, "fsim": fsim}.items():
            self._add(name, torch.cat([measure(part.float(), real) for part in parts]))
        largest, mean = distance_to_mean(images)
        self._note("largest distance to the mean image", largest)
        self._note("mean distance to the mean image", mean)
        if "landmarks" in self.judges:
            self._judge_landmarks(pair, real, parts)
        if "maps" in self.judges:
            self._judge_maps(pair, real, parts)
        if "embedding" in self.judges:
            self._judge_variety(real, parts)

    def _require_judged(self, pair: Pair) -> None:
        found = pair.condition.shape[2]
        for kind, judge in self.judges.items():
            if kind == "embedding":
                continue
            if judge.condition_channels != found or (kind == "landmarks") != (pair.landmarks is not None):
                raise InputError(
                    f"judges: one reads {judge.condition_channels} {kind} in an image, {pair.id} has a condition of "
                    f"{found} {'landmarks' if pair.landmarks is not None else 'maps'}; give a judge of this data set"
                )

    def _judge_landmarks(self, pair: Pair, real: Tensor, parts: Sequence[Tensor]) -> None:
        """The sum over landmarks of distances to the true ones, in widths of the image (table 5.2)."""
        assert pair.landmarks is not None
        # As ``places`` has them, from the edge of the first pixel.
        wanted = (torch.from_numpy(pair.landmarks).to(real.device)[None] + 0.5) / real.shape[-1]
        judge = self.judges["landmarks"]
        *errors, of_real = (
            (judge.landmarks(part / 255) - wanted).norm(dim=2).sum(1) for part in (*parts, real)
        )
        self._add("landmarks", torch.cat(errors))
        self._note("landmarks of the real image", float(of_real))

    def _judge_maps(self, pair: Pair, real: Tensor, parts: Sequence[Tensor]) -> None:
        """What is read in a sample, against the condition.

        Of normals, the angles in the best sample and in the real image are kept.
        """
        wanted = planes(pair.condition).to(real.device)
        judge = self.judges["maps"]
        kind, known = _kind_of_map(pair.condition), getattr(judge, "map_kind", None)
        shown = wanted.norm(dim=0) > 0.5 if kind != "edges" else torch.ones_like(wanted[0], dtype=torch.bool)
        if not shown.any():
            raise InputError(f"{pair.id}: its {known or kind} are empty; leave it, or the judge of maps, out")
        if {kind, known} == {"labels", "normals"}:
            raise InputError(
                f"judges: one reads {known} in an image, {pair.id} has a condition of {kind}; give a judge of this "
                "data set"
            )

        def errors(images: Tensor) -> Iterator[Tensor]:
            return (_map_errors(kind, each, wanted, shown) for each in judge(images / 255).float())

        means: list[Tensor] = []
        best = None
        for found in (found for part in parts for found in errors(part)):
            if best is None or found.mean() < min(means):
                best = found
            means.append(found.mean())
        self._add(kind, torch.stack(means))
        of_real = next(errors(real))
        self._note(f"{kind} of the real image", float(of_real.mean()))
        if kind == "normals" and best is not None:
            self.angles.append(best.cpu())
            self.real_angles.append(of_real.cpu())

    def _judge_variety(self, real: Tensor, parts: Sequence[Tensor]) -> None:
        judge = self.judges["embedding"]
        of_real = judge.represent(real / 255)
        deviations = [FeatureDeviation() for _ in of_real]
        embeddings = []
        compared, place = divmod(len(self.real) % sum(map(len, parts)), self.at_once)
        for index, part in enumerate(parts):
            sampled = judge.represent(part / 255)
            if index == compared:
                self.sampled.append(_pooled(sampled)[place][None].cpu())
            for deviation, values in zip(deviations, sampled, strict=True):
                deviation.update(values.float().flatten(1))
            embeddings.append(sampled[-1])
        embedding = torch.cat(embeddings)
        varied = len(embedding) > 1  # a single image has no variety
        for number, deviation in enumerate(deviations, 1):
            name = f"layer {number}" if number < len(deviations) else "embedding"
            self._note(name, deviation.compute() if varied else 0.0)
        self._note("pairwise distance", pairwise_distance(embedding) if varied else 0.0)
        self.real.append(_pooled(of_real).cpu())

    def _add(self, name: str, values: Tensor) -> None:
        self.errors.setdefault(name, []).append(values.float().cpu())

    def _note(self, name: str, value: float) -> None:
        self.variety.setdefault(name, []).append(value)

    def compute(self) -> dict[str, Any]:
        """Plain values for a JSON file; nothing of conditions without an image.

        errors: of each measure the mean, the mean of the ten best, the best of the first m samples (training codes
        come first), and what the best of m samples in any order is expected to be.
        """
        result: dict[str, Any] = {"conditions": len(self.errors.get("rmse", [])), "errors": {}}
        for name, rows in self.errors.items():
            values = torch.stack(rows)
            sign = -1 if name in ("ssim", "fsim") else 1
            result["errors"][name] = {
                "mean": round(float(values.mean()), 5),
                "top 10": round(sign * mean_of_top(sign * values, min(10, values.shape[1])), 5),
                "best of first": _rounded(sign * best_of(sign * values)),
                "best of any": _rounded(sign * best_of_any(sign * values)),
            }
        result["means"] = {name: round(float(np.mean(values)), 5) for name, values in self.variety.items()}
        layers = [name for name in result["means"] if name.startswith("layer") or name == "embedding"]
        if layers:
            result["diversity"] = round(sum(result["means"][name] for name in layers), 5)
            if len(self.real) > 1:  # a single image has no distribution
                result["distribution"] = self._distribution()
        if self.angles:
            result["normals of the best"] = _scores(self.angles)
            result["normals of the real images"] = _scores(self.real_angles)
        return result

    def _distribution(self) -> dict[str, float]:
        """Of pooled features; one sample a condition, so that as many are compared as there are real.

        Of the first condition the first of its n samples, of the next the second, ..., so that all codes take part.
        """
        real, sampled = torch.cat(self.real), torch.cat(self.sampled)
        manifold = precision_recall_density_coverage(real, sampled, k=min(5, len(real) - 1))
        return {
            "fid": round(frechet_distance(real, sampled), 4),
            "kid": round(kernel_distance(real, sampled).mmd2, 6),
            **{name: round(value, 4) for name, value in asdict(manifold).items()},
        }


def _kind_of_map(condition: np.ndarray) -> str:
    """Raises InputError for [H, W, C] that are none of edges, label maps and normals."""
    channels = condition.shape[2]
    if channels == 1:
        return "edges"
    if is_normals(condition):
        return "normals"
    if ((condition == 0) | (condition == 1)).all():
        return "labels"
    raise InputError(
        f"judges: of maps, edges, label maps and normals are judged, not {channels} channels of other values"
    )


def _map_errors(kind: str, found: Tensor, wanted: Tensor, shown: Tensor) -> Tensor:
    """Of each place where ``shown`` [H, W]: an angle in degrees, whether the label is another, an absolute error."""
    if kind == "normals":
        return normal_errors(found, wanted, shown)
    if kind == "labels":
        return (found.argmax(0) != wanted.argmax(0))[shown].float()
    return (found - wanted).abs()[0][shown]


def _pooled(representations: Sequence[Tensor]) -> Tensor:
    """Means over places of the two last maps, beside the embedding: [n, D]."""
    return torch.cat([*(m.float().mean((2, 3)) for m in representations[-3:-1]), representations[-1]], 1)


def _scores(angles: Sequence[Tensor]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(normal_scores(torch.cat(list(angles)))).items()}


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 5) for value in values]
