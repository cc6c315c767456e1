"""Figures 7.5 to 7.10 of the thesis, of a game that was played (``tessella audit game``).

    python benchmarks/privacy_figures.py curves GAME OUT.png
    python benchmarks/privacy_figures.py histograms GAME OUT.png [--defences argmax gaussian=0.5]
    python benchmarks/privacy_figures.py maps GAME DATA OUT.png [--defences ...]
    python benchmarks/privacy_figures.py segmentations GAME DATA OUT.png [--defences ...]

"curves": of RMIA behind each defence that the game was asked behind (blue), and of the learned attack where the game
has one (orange), true against false positive rates on logarithmic axes, and precision against recall (7.5 and 7.6);
grey without a defence; GAME is the game's folder or its ``game_result.json``. "histograms": the mean confidence of each
image (7.7) and the logit that the attacker gives it (7.8), of members and others of all victims; what they share is the
intersection of the two histograms, in a hundred bins from the smallest value to the largest. "maps": where the attacker
looks on members of the first victim (7.9), red for a member, blue against. "segmentations": images that it was not
trained on, their truth, and what it says behind each defence, with pixel accuracy and mean IoU (7.10). The last two
show the data, and go where you say.
Attackers are those of ``tessella audit game``: they know of a defence.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from tessella.datasets import Joined
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.statistics import histogram_similarity
from tessella.metrics.confusion import confusion_matrix, segmentation_scores
from tessella.pictures import colorize, contact_sheet, legend
from tessella.recipes.camvid import camvid_game
from tessella.reports.game import curves_behind
from tessella.reports.style import SERIES, SMALL, style_axes
from tessella.runs.asking import scores_of
from tessella.runs.defended import defended
from tessella.runs.game import maps_file
from tessella.runs.game_attacks import read_answers, read_game
from tessella.runs.game_learned import learned_scores, trained
from tessella.runs.model import load_model

STEPS = 1500
"""Of the attackers, as the game has them."""

SPLITS = ("train", "val", "test")


def curves(game: Path, out: Path) -> None:
    figure = curves_behind(json.loads((game / "game_result.json" if game.is_dir() else game).read_text()))
    if figure is None:
        raise SystemExit(f"{game}: has no curves behind defences")
    figure.savefig(out, dpi=100, facecolor="white")


def histograms(game: Path, out: Path, defences: Sequence[str]) -> None:
    draw = read_game(game)[1]
    kept = draw.block != DROPPED
    inside, outside = draw.members & kept, ~draw.members & kept
    figure = Figure(figsize=(1.9 * len(defences), 3.6), layout="constrained")
    axes = figure.subplots(2, len(defences), squeeze=False)
    for column, defence in enumerate(defences):
        answers = read_answers(game, draw, "last", defence)
        confidence = np.array([scores_of(rows, "confidence") for rows in answers])
        logits = learned_scores(game, draw.members, draw.block, "posteriors", steps=STEPS, defence=defence)
        for cell, values, label in zip(
            axes[:, column], (confidence, logits.images), ("Confidence", "Attacker's logit"), strict=True
        ):
            style_axes(cell)
            low, high = values[:, kept].min(), values[:, kept].max()
            if low == high:  # as of labels alone
                low, high = low - 0.05, high + 0.05
            bins = np.linspace(low, high, 41)
            for which, color in ((inside, SERIES[0]), (outside, SERIES[1])):
                cell.hist(values[which], bins, density=True, color=color, alpha=0.55)
            shared = histogram_similarity(
                *((values[side] - low) / (high - low) for side in (inside, outside))
            )
            cell.set_title(f"{100 * shared:.0f}% shared", fontsize=SMALL)
            cell.set_xlabel(label, fontsize=SMALL)
            cell.set_yticks([])
        axes[0, column].set_title(f"{defence or 'none'}\n{axes[0, column].get_title()}", fontsize=SMALL)
    axes[0, 0].legend(["members", "others"], fontsize=7, frameon=False, loc="upper left")
    figure.savefig(out, dpi=150, facecolor="white")


def maps(game: Path, data: Path, out: Path, defences: Sequence[str]) -> None:
    draw = read_game(game)[1]
    kept = draw.block != DROPPED
    pool = open_pool(data)
    places = spread(np.flatnonzero(draw.members[0] & kept))
    rows = [[pool[place].image] for place in places]
    for defence in defences:
        attacker = trained(game, draw.members, kept, "posteriors", STEPS, half=1, defence=defence)
        seen = np.load(maps_file(game, 0, defence), mmap_mode="r")[places]
        classes = seen.shape[1] // 2 - 1
        with torch.inference_mode():
            found = attacker.activation(torch.from_numpy(seen[:, : 2 * classes].astype(np.float32))).numpy()
        largest = np.abs(found).max()
        for row, activation in zip(rows, found, strict=True):
            row.append(heat(row[0], activation / largest))
    titles = ["member", *(defence or "none" for defence in defences)]
    Image.fromarray(contact_sheet(rows, titles=titles)).save(out)


def heat(image: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Red where it speaks for a member, blue where against, over a grey picture."""
    height, width = image.shape[:2]
    strength = cv2.resize(activation, (width, height), interpolation=cv2.INTER_CUBIC).clip(-1, 1)[..., None]
    grey = image.mean(2, keepdims=True).repeat(3, 2)
    color = np.where(strength > 0, np.array([214.0, 39, 40]), np.array([31.0, 119, 180]))
    share = 0.75 * np.abs(strength)
    return ((1 - share) * grey + share * color).astype(np.uint8)


def segmentations(game: Path, data: Path, out: Path, defences: Sequence[str]) -> None:
    draw = read_game(game)[1]
    pool = open_pool(data)
    model = load_model(str(game / "model_00" / "checkpoints" / "last.ckpt"))
    colors = np.array([label.color for label in pool.classes], np.uint8)
    rows, labels = [], []
    for place in spread(np.flatnonzero(~draw.members[0] & (draw.block != DROPPED))):
        sample = pool[place]
        assert sample.labels is not None
        image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
        row, measured = [sample.image, colorize(sample.labels, colors)], []
        for defence in defences:
            black_box = defended(model, model.network, defence.split("+") if defence else [])
            with torch.inference_mode():
                said = black_box(image).argmax(1)
            matrix = confusion_matrix(said, torch.from_numpy(sample.labels).long()[None], len(pool.classes))
            found = segmentation_scores(matrix)
            measured.append(f"{100 * found.pixel_accuracy:.1f}, {100 * found.mean_iou:.1f}")
            row.append(colorize(said[0].numpy(), colors))
        rows.append(row)
        labels.append(f"pixel accuracy, mean IoU: {'; '.join(measured)}")
    titles = ["not a member", "truth", *(defence or "none" for defence in defences)]
    sheet = contact_sheet(rows, titles=titles, labels=labels)
    Image.fromarray(np.concatenate([sheet, legend(pool.classes, sheet.shape[1])])).save(out)


def open_pool(data: Path) -> Joined:
    return Joined([camvid_game().dataset(data, split) for split in SPLITS])


def spread(places: np.ndarray, count: int = 4) -> np.ndarray:
    """So many of them, evenly."""
    return places[np.linspace(0, len(places) - 1, count + 2).round().astype(int)[1:-1]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    figures = parser.add_subparsers(dest="figure", required=True)
    for name, paths in (
        ("curves", ("game", "out")),
        ("histograms", ("game", "out")),
        ("maps", ("game", "data", "out")),
        ("segmentations", ("game", "data", "out")),
    ):
        figure = figures.add_parser(name)
        for path in paths:
            figure.add_argument(path, type=Path)
        if name != "curves":
            figure.add_argument("--defences", nargs="*", default=[])
    options = vars(parser.parse_args())
    if "defences" in options:
        options["defences"] = ["", *options["defences"]]
    draw = {"curves": curves, "histograms": histograms, "maps": maps, "segmentations": segmentations}
    draw[options.pop("figure")](**options)


if __name__ == "__main__":
    main()
