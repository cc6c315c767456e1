"""The files of a run folder, read and checked (docs/architecture.md, "A run")."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tessella.datasets.sample import LabelClass
from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.files import read_arrays

Series = tuple[np.ndarray, np.ndarray]
"""Steps and the values measured there, two float vectors of one length."""


@dataclass(frozen=True)
class Reliability:
    """Mean confidence, accuracy (both nan in an empty bin) and number of pixels of each confidence bin."""

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    count: Float[np.ndarray, " bins"]


@dataclass(frozen=True)
class Boundaries:
    """Precision and recall of boundaries at thresholds, and the area under their curve."""

    average_precision: float
    precision: Float[np.ndarray, " thresholds"]
    recall: Float[np.ndarray, " thresholds"]


@dataclass(frozen=True)
class PerImage:
    """One confusion matrix per image: rows ground truth, columns prediction, entries pixel counts."""

    ids: list[str]
    confusion: Int[np.ndarray, "images classes classes"]

    def mean_iou(self) -> Float[np.ndarray, " images"]:
        """Each image's IoU averaged over the classes that occur in its labels or its prediction."""
        hits = np.diagonal(self.confusion, axis1=1, axis2=2)
        union = self.confusion.sum(1) + self.confusion.sum(2) - hits
        return (hits / np.maximum(union, 1)).sum(1) / np.where((union > 0).any(1), (union > 0).sum(1), np.nan)

    def worst_first(self) -> list[str]:
        """The ids by rising mean IoU, those without one last."""
        return [self.ids[index] for index in np.argsort(self.mean_iou(), kind="stable")]


@dataclass(frozen=True)
class Evaluation:
    """``evaluation/<split>``; undefined numbers are nan, parts that were not written are None."""

    folder: Path
    dataset: str | None
    network: str | None
    checkpoint: str | None
    seconds: float
    num_images: float
    classes: tuple[LabelClass, ...]
    metrics: Mapping[str, float]
    iou_per_class: Float[np.ndarray, " classes"] | None
    confusion: Float[np.ndarray, "classes classes"] | None
    reliability: Reliability | None
    boundaries: Boundaries | None
    per_image: PerImage | None

    @property
    def split(self) -> str:
        return self.folder.name

    def picture(self, image_id: str, kind: str) -> Path:
        """Where the picture of an image lies, ``kind`` being image, truth, prediction or difference."""
        return self.folder / "pictures" / f"{image_id.replace('/', '__')}_{kind}.png"

    def pictured_ids(self) -> list[str]:
        """The images that have pictures, worst first where the images were scored one by one."""
        if self.per_image is None:
            pictures = sorted((self.folder / "pictures").glob("*_image.png"))
            return [picture.name.removesuffix("_image.png") for picture in pictures]
        return [
            image_id for image_id in self.per_image.worst_first() if self.picture(image_id, "image").is_file()
        ]


@dataclass(frozen=True)
class LearnedDilation:
    """The factors of one layer's input channels, before and after training, and the range they were kept in."""

    name: str
    range: tuple[float, float]
    initial: Float[np.ndarray, " channels"]
    final: Float[np.ndarray, " channels"]


@dataclass(frozen=True)
class Run:
    """What a run folder holds; files that are missing leave their field empty."""

    path: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    privacy: Mapping[str, Any]
    log: Mapping[str, np.ndarray]
    evaluations: Mapping[str, Evaluation]
    dilation: Sequence[LearnedDilation] = ()

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def series(self, column: str) -> Series | None:
        """The rows of the log in which ``column`` was measured; None if there is no such row."""
        if column not in self.log or "step" not in self.log:
            return None
        measured = ~np.isnan(self.log[column]) & ~np.isnan(self.log["step"])
        return (self.log["step"][measured], self.log[column][measured]) if measured.any() else None


def read_run(path: Path) -> Run:
    """Reads a run folder; raises InputError for a folder that holds no run and for a file that is broken."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; name the folder of a run")
    results = sorted(path.glob("evaluation/*/result.json"))
    files = {name: path / name for name in ("config.json", "environment.json", "log.csv")}
    if not results and not any(file.is_file() for file in files.values()):
        raise InputError(f"{path} holds no run: no config.json, log.csv or evaluation/<split>/result.json")
    evaluations = [read_evaluation(result.parent) for result in results]
    return Run(
        path,
        config=read_object(files["config.json"]) if files["config.json"].is_file() else {},
        environment=read_object(files["environment.json"]) if files["environment.json"].is_file() else {},
        privacy=read_object(path / "privacy.json") if (path / "privacy.json").is_file() else {},
        log=_read_log(files["log.csv"]) if files["log.csv"].is_file() else {},
        evaluations={evaluation.split: evaluation for evaluation in evaluations},
        dilation=_read_dilation(path / "dilation.json") if (path / "dilation.json").is_file() else (),
    )


def read_evaluation(folder: Path) -> Evaluation:
    """Reads ``evaluation/<split>``; raises InputError naming the file and field that cannot be used."""
    file = folder / "result.json"
    result = read_object(file)
    classes = _read_classes(result, file)
    metrics = result.get("metrics")
    if not isinstance(metrics, dict):
        raise InputError(f"{file}: 'metrics' must be an object of numbers; evaluate the run again")
    count = len(classes)
    reliability, boundaries = result.get("reliability"), result.get("boundaries")
    per_image = folder / "per_image.npz"
    return Evaluation(
        folder,
        dataset=result.get("dataset"),
        network=result.get("network"),
        checkpoint=result.get("checkpoint"),
        seconds=_number(result, "seconds", file),
        num_images=_number(result, "num_images", file),
        classes=classes,
        metrics={name: _number(metrics, name, file) for name in metrics if name != "iou_per_class"},
        iou_per_class=_array(metrics, "iou_per_class", (count,), file),
        confusion=_array(result, "confusion", (count, count), file),
        reliability=_read_reliability(reliability, file) if reliability else None,
        boundaries=_read_boundaries(boundaries, file) if boundaries else None,
        per_image=_read_per_image(per_image, count) if per_image.is_file() else None,
    )


def _read_log(file: Path) -> dict[str, np.ndarray]:
    """The columns of the log, nan where a cell is empty; a last line cut short by a crash is left out."""
    text = file.read_text(encoding="utf-8", errors="replace")
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    if not rows:
        return {}
    columns = rows[0]
    table = np.full((len(rows) - 1, len(columns)), math.nan)
    for index, row in enumerate(rows[1:]):
        if len(row) > len(columns):
            raise InputError(f"{file}, line {index + 2}: {len(row)} cells for {len(columns)} columns")
        for column, cell in enumerate(row):
            try:
                table[index, column] = float(cell) if cell.strip() else math.nan
            except ValueError:
                raise InputError(
                    f"{file}, line {index + 2}: {columns[column]!r} must be a number or empty, not {cell!r}"
                ) from None
    return dict(zip(columns, table.T, strict=True))


def _read_dilation(file: Path) -> list[LearnedDilation]:
    try:
        layers = []
        for layer in read_object(file)["layers"]:
            low, high = layer["range"]
            history = np.array(layer["factors"], dtype=float).reshape(len(layer["factors"]), -1)
            layers.append(
                LearnedDilation(str(layer["name"]), (float(low), float(high)), history[0], history[-1])
            )
        return layers
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError(f"{file}: 'layers' must be a list of name, range and factors; delete it") from None


def _read_classes(result: Mapping[str, Any], file: Path) -> tuple[LabelClass, ...]:
    try:
        classes = []
        for entry in result["classes"]:
            red, green, blue = (int(value) for value in entry["color"])
            if not all(0 <= value <= 255 for value in (red, green, blue)):
                raise ValueError
            classes.append(LabelClass(str(entry["name"]), (red, green, blue)))
        return tuple(classes)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f'{file}: \'classes\' must be a list of {{"name": text, "color": [red, green, blue]}} with 0-255'
        ) from None


def _read_reliability(fields: Mapping[str, Any], file: Path) -> Reliability | None:
    if not isinstance(fields, dict) or not isinstance(fields.get("count"), list):
        raise InputError(f"{file}: 'reliability' must hold the lists confidence, accuracy and count")
    bins = (len(fields["count"]),)
    confidence, accuracy, count = (
        _array(fields, name, bins, file) for name in ("confidence", "accuracy", "count")
    )
    if confidence is None or accuracy is None or count is None:
        raise InputError(f"{file}: 'reliability' must hold the lists confidence, accuracy and count")
    return Reliability(confidence, accuracy, np.nan_to_num(count))


def _read_boundaries(fields: Mapping[str, Any], file: Path) -> Boundaries:
    if not isinstance(fields, dict) or not isinstance(fields.get("recall"), list):
        raise InputError(
            f"{file}: 'boundaries' must hold average_precision and the lists precision and recall"
        )
    count = (len(fields["recall"]),)
    precision, recall = (_array(fields, name, count, file) for name in ("precision", "recall"))
    if precision is None or recall is None:
        raise InputError(
            f"{file}: 'boundaries' must hold average_precision and the lists precision and recall"
        )
    return Boundaries(_number(fields, "average_precision", file), precision, recall)


def _read_per_image(file: Path, classes: int) -> PerImage:
    ids, confusion = read_arrays(file, "ids", "confusion", otherwise="evaluate the run again")
    if confusion.shape != (*ids.shape, classes, classes):
        raise InputError(
            f"{file}: 'confusion' has the shape {confusion.shape}, not {(*ids.shape, classes, classes)} "
            "as 'ids' and the classes of result.json ask; evaluate the run again"
        )
    return PerImage([str(image_id) for image_id in ids], confusion)


def _number(fields: Mapping[str, Any], name: str, file: Path) -> float:
    value = fields.get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{file}: {name!r} must be a number or null, not {value!r}")
    return float(value)


def _array(fields: Mapping[str, Any], name: str, shape: tuple[int, ...], file: Path) -> np.ndarray | None:
    """The nested list of numbers as float64, nan for null; None if the field is missing."""
    if fields.get(name) is None:
        return None
    try:
        array = np.array(fields[name], dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{file}: {name!r} must be a list of numbers") from None
    if array.shape != shape:
        raise InputError(f"{file}: {name!r} has the shape {array.shape}, not {shape}")
    return array
