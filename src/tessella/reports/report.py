"""The page of one run: ``report.html``."""

import random
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from tessella.reports import plots
from tessella.reports.embed import PictureRow, inline_svg, thumbnail
from tessella.reports.page import flatten, percent, save_page
from tessella.reports.run import Evaluation, Run, read_run

ROWS_PER_PAGE = 32
"""Rows of pictures on a page; at about 120 kB each they keep it below 6 MB."""

THUMBNAIL_WIDTH = 480
CONFUSIONS_LISTED = 8
PICTURE_NAMES = {
    "image": "Image",
    "truth": "Ground truth",
    "prediction": "Prediction",
    "difference": "Difference",
}


@dataclass(frozen=True)
class Confusion:
    """``share`` of the pixels of the class ``truth`` were taken for ``prediction``."""

    truth: str
    prediction: str
    share: float


@dataclass(frozen=True)
class EvaluationSection:
    """An evaluation and what the page shows of it."""

    evaluation: Evaluation
    plots: dict[str, Markup]
    confusions: list[Confusion]
    pictures: dict[str, list[PictureRow]]


def write_report(run: Path) -> Path:
    """Writes ``report.html`` into the run folder: one page that needs no other file and no network.

    What the run has not written yet (log, evaluations, pictures) is left out. Raises InputError naming the
    file if one of them is broken.
    """
    content = read_run(Path(run))
    rows = ROWS_PER_PAGE // max(1, len(content.evaluations))
    command = content.environment.get("command")
    return save_page(
        "report.html",
        content.path / "report.html",
        run=content,
        curves=_curves(content),
        sections=[_section(evaluation, rows) for evaluation in content.evaluations.values()],
        command=shlex.join(command) if isinstance(command, list) else command,
        settings={
            "Configuration": flatten(content.config),
            "Environment": flatten(content.environment),
            "Privacy": flatten(content.privacy),
        },
    )


def _curves(run: Run) -> dict[str, Markup]:
    loss, validation_loss = run.series("train_loss"), run.series("val_loss")
    rate, mean_iou = run.series("learning_rate"), run.series("val_mean_iou")
    curves = {}
    if loss is not None:
        curves["loss"] = inline_svg(plots.loss_curve(loss, validation_loss), "Loss over training steps")
    if mean_iou is not None:
        figure = plots.curves([mean_iou], "Mean IoU", percent=True)
        curves["mean_iou"] = inline_svg(figure, "Validation mean IoU over training steps")
    if rate is not None:
        curves["rate"] = inline_svg(
            plots.curves([rate], "Learning rate"), "Learning rate over training steps"
        )
    if run.dilation:
        curves["dilation"] = inline_svg(plots.dilation_histograms(run.dilation), "Learned dilation factors")
    return curves


def _section(evaluation: Evaluation, rows: int) -> EvaluationSection:
    classes, figures = evaluation.classes, {}
    if evaluation.iou_per_class is not None:
        bars = plots.class_iou_bars(
            classes, evaluation.iou_per_class, evaluation.metrics.get("mean_iou", np.nan)
        )
        figures["classes"] = inline_svg(bars, "IoU per class, sorted")
    if evaluation.confusion is not None:
        heatmap = plots.confusion_heatmap(classes, evaluation.confusion)
        figures["confusion"] = inline_svg(heatmap, "Confusion matrix, rows ground truth, columns prediction")
    if evaluation.reliability is not None:
        diagram = plots.reliability_diagram(evaluation.reliability)
        figures["reliability"] = inline_svg(diagram, "Accuracy over confidence")
    if evaluation.boundaries is not None:
        figures["boundaries"] = inline_svg(
            plots.boundary_curves([evaluation.boundaries]), "Precision over recall of boundaries"
        )
    if evaluation.per_image is not None and len(evaluation.per_image.ids) > 1:
        histogram = plots.image_iou_histogram(evaluation.per_image.mean_iou())
        figures["images"] = inline_svg(histogram, "Number of images over their mean IoU")
    return EvaluationSection(
        evaluation, figures, _worst_confusions(evaluation), _picture_rows(evaluation, rows)
    )


def _worst_confusions(evaluation: Evaluation) -> list[Confusion]:
    """The pairs of classes in which the largest share of a class's pixels was taken for another class."""
    if evaluation.confusion is None:
        return []
    wrong = evaluation.confusion / np.maximum(evaluation.confusion.sum(1, keepdims=True), 1)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_LISTED]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    names = [entry.name for entry in evaluation.classes]
    return [Confusion(names[row], names[col], wrong[row, col]) for row, col in pairs if wrong[row, col] > 0]


def _picture_rows(evaluation: Evaluation, rows: int) -> dict[str, list[PictureRow]]:
    """The pictured images under headings: the worst of all, and others; half of ``rows`` for each."""
    pictured, scored = evaluation.pictured_ids(), evaluation.per_image
    if scored is None:
        groups = {"Images": pictured[:rows]}
        captions = {}
    else:
        ranked = scored.worst_first()
        candidates = set(ranked[: len(pictured)])
        worst = [image_id for image_id in pictured if image_id in candidates][: (len(pictured) + 1) // 2]
        others = [image_id for image_id in pictured if image_id not in worst]
        random.Random(0).shuffle(others)
        groups = {"Worst images": worst[: rows // 2], "More images": others[: rows // 2]}
        mean_iou = dict(zip(scored.ids, scored.mean_iou().tolist(), strict=True))
        captions = {
            image_id: f"mean IoU {percent(mean_iou[image_id])} %, rank {len(ranked) - place} of {len(ranked)}"
            for place, image_id in enumerate(ranked)
        }
    return {
        heading: [_picture_row(evaluation, image_id, captions.get(image_id, "")) for image_id in members]
        for heading, members in groups.items()
        if members
    }


def _picture_row(evaluation: Evaluation, image_id: str, caption: str) -> PictureRow:
    files = {name: evaluation.picture(image_id, kind) for kind, name in PICTURE_NAMES.items()}
    pictures = {name: thumbnail(file, THUMBNAIL_WIDTH) for name, file in files.items() if file.is_file()}
    return PictureRow(image_id, pictures, caption)
