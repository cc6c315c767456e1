"""Several runs side by side: a page and a table for the terminal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from tessella.errors import InputError
from tessella.reports import plots, style
from tessella.reports.embed import PictureRow, inline_svg
from tessella.reports.page import LOWER_IS_BETTER, METRICS, flatten, percent, save_page, signed_percent
from tessella.reports.panels import panels
from tessella.reports.run import Evaluation, Run, read_run

Interval = tuple[float, float]
_HEADINGS = {
    "mean_iou": "mIoU",
    "pixel_accuracy": "Pixel",
    "class_accuracy": "Class",
    "frequency_weighted_iou": "fwIoU",
    "ece": "ECE",
}


@dataclass(frozen=True)
class Standing:
    """How a run (its place among the runs) did on a split.

    gain: its mean IoU less that of the first run with this split.
    interval: where the gain lies with 95 % confidence; None where the two did not see the same images.
    best: the metrics in which no run is better.
    """

    run: int
    metrics: Mapping[str, float]
    gain: float
    interval: Interval | None
    best: frozenset[str]


@dataclass(frozen=True)
class SplitComparison:
    """The runs that were evaluated on a split, in their order; the first is the reference.

    class_iou: per class of the reference, the IoU of each run in ``standings``; nan where it is not known.
    boundaries: the runs' curves of precision over recall, where any measured them.
    panels: per run, pictures of it beside the reference.
    """

    split: str
    standings: list[Standing]
    class_iou: list[tuple[str, list[float]]]
    class_differences: Markup | None
    boundaries: Markup | None
    panels: Mapping[int, list[PictureRow]]


def compare_runs(runs: Sequence[Path], out: Path) -> Path:
    """Writes a self-contained page that sets the runs beside the first of them; returns ``out``.

    Raises InputError for fewer than two runs, and naming the file if one of a run's is broken.
    """
    content = _read_runs(runs)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    return save_page(
        "comparison.html",
        out,
        names=_names(content),
        colors=len(style.SERIES),
        sections=[
            _compare_split(split, _evaluations(split, content), _names(content)) for split in _splits(content)
        ],
        curves=_curves(content),
        differences=_configuration_differences(content),
    )


def comparison_table(runs: Sequence[Path]) -> Table:
    """The runs' metrics in percent as a table for the terminal, one row for each run and split."""
    content = _read_runs(runs)
    names = _names(content)
    table = Table("Run", "Split", *_HEADINGS.values(), "Gain", "95 % interval")
    table.columns[0].overflow = "fold"
    for column in table.columns[2:]:
        column.justify = "right"
        column.no_wrap = True
    for split in _splits(content):
        for standing in _standings(_evaluations(split, content)):
            row = [names[standing.run], split, *(percent(standing.metrics[metric]) for metric in _HEADINGS)]
            low_high = " to ".join(signed_percent(end) for end in standing.interval or ())
            table.add_row(*(Text(cell) for cell in row), signed_percent(standing.gain), low_high)
        table.add_section()
    return table


def _read_runs(runs: Sequence[Path]) -> list[Run]:
    if len(runs) < 2:
        raise InputError(f"name at least two runs to compare, not {len(runs)}")
    return [read_run(Path(run)) for run in runs]


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, or their paths where two have the same name."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _splits(runs: Sequence[Run]) -> list[str]:
    return sorted({split for run in runs for split in run.evaluations})


def _evaluations(split: str, runs: Sequence[Run]) -> dict[int, Evaluation]:
    """The evaluations of a split by the places of their runs; the first is the reference."""
    return {place: run.evaluations[split] for place, run in enumerate(runs) if split in run.evaluations}


def _standings(evaluations: Mapping[int, Evaluation]) -> list[Standing]:
    metrics = {
        place: {metric: evaluation.metrics.get(metric, math.nan) for metric in METRICS}
        for place, evaluation in evaluations.items()
    }
    first, reference = next(iter(evaluations.items()))
    return [
        Standing(
            place,
            metrics[place],
            gain=metrics[place]["mean_iou"] - metrics[first]["mean_iou"] if place != first else math.nan,
            interval=_gain_interval(reference, evaluation) if place != first else None,
            best=frozenset(
                metric for metric in METRICS if _is_best(metric, metrics[place], metrics.values())
            ),
        )
        for place, evaluation in evaluations.items()
    ]


def _compare_split(split: str, evaluations: Mapping[int, Evaluation], runs: Sequence[str]) -> SplitComparison:
    standings = _standings(evaluations)
    first, reference = next(iter(evaluations.items()))
    pictures = {
        place: panels(reference, evaluation, (runs[first], runs[place]))
        for place, evaluation in evaluations.items()
        if place != first
    }
    boundaries = _boundaries(evaluations, len(runs))
    names = [entry.name for entry in reference.classes]
    class_iou = _class_iou(evaluations)
    if first not in class_iou or len(class_iou) == 1:
        return SplitComparison(split, standings, [], None, boundaries, pictures)
    gains = {place: iou - class_iou[first] for place, iou in class_iou.items() if place != first}
    unknown = np.full(len(names), math.nan)
    columns = np.stack([class_iou.get(place, unknown) for place in evaluations], axis=1)
    return SplitComparison(
        split,
        standings,
        class_iou=list(zip(names, columns.tolist(), strict=True)),
        class_differences=inline_svg(plots.class_iou_differences(names, gains), "Gain of IoU per class"),
        boundaries=boundaries,
        panels=pictures,
    )


def _is_best(metric: str, own: Mapping[str, float], everyone: Iterable[Mapping[str, float]]) -> bool:
    values = [metrics[metric] for metrics in everyone if not math.isnan(metrics[metric])]
    best = min if metric in LOWER_IS_BETTER else max
    return len(set(values)) > 1 and own[metric] == best(values)


def _gain_interval(reference: Evaluation, evaluation: Evaluation) -> Interval | None:
    first, second = reference.per_image, evaluation.per_image
    if first is None or second is None or not first.ids or not _same_classes(reference, evaluation):
        return None
    if sorted(first.ids) != sorted(second.ids):
        return None
    from tessella.metrics.comparison import compare  # PyTorch comes with it: seconds that a report spares

    place = {image_id: index for index, image_id in enumerate(second.ids)}
    try:
        order = [place[image_id] for image_id in first.ids]
        return compare(first.confusion, second.confusion[order]).interval
    except InputError as error:
        raise InputError(f"{reference.folder} and {evaluation.folder} cannot be compared: {error}") from None


def _same_classes(first: Evaluation, second: Evaluation) -> bool:
    return [entry.name for entry in first.classes] == [entry.name for entry in second.classes]


def _class_iou(evaluations: Mapping[int, Evaluation]) -> dict[int, np.ndarray]:
    """Per run its IoU of each class [K], for runs that know it and have the first one's classes."""
    reference = next(iter(evaluations.values()))
    return {
        place: evaluation.iou_per_class
        for place, evaluation in evaluations.items()
        if evaluation.iou_per_class is not None and _same_classes(reference, evaluation)
    }


def _boundaries(evaluations: Mapping[int, Evaluation], runs: int) -> Markup | None:
    measured = {place: evaluation.boundaries for place, evaluation in evaluations.items()}
    if not any(measured.values()):
        return None
    figure = plots.boundary_curves([measured.get(place) for place in range(runs)])
    return inline_svg(figure, "Precision over recall of the runs' boundaries")


def _curves(runs: Sequence[Run]) -> dict[str, Markup]:
    loss = [series and plots.smooth(series) for series in (run.series("train_loss") for run in runs)]
    curves = {}
    for metric, name in (("mean_iou", "mean IoU"), ("class_accuracy", "class accuracy")):
        measured = [run.series(f"val_{metric}") for run in runs]
        if any(measured):
            figure = plots.curves(measured, name[0].upper() + name[1:], percent=True)
            curves[metric] = inline_svg(figure, f"Validation {name} of the runs over training steps")
    if any(loss):
        curves["loss"] = inline_svg(
            plots.curves(loss, "Loss"), "Training loss of the runs over training steps"
        )
    return curves


def _configuration_differences(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Per field that is not the same everywhere, each run's value ("" where it has no such field)."""
    flat = [flatten(run.config) for run in runs]
    fields = dict.fromkeys(field for config in flat for field in config)
    values = {field: [config.get(field, "") for config in flat] for field in fields}
    return {field: row for field, row in values.items() if len(set(row)) > 1}
