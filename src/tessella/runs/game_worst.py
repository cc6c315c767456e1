"""What a game gives away most: images, classes, and how private the training can have been at best."""

from pathlib import Path

import numpy as np

from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.game import assess_game
from tessella.membership_inference.game_epsilon import epsilon_of_game
from tessella.membership_inference.reference import rmia
from tessella.membership_inference.surest import moved_by_training
from tessella.runs.asking import Row
from tessella.runs.game import Draw
from tessella.training.checkpoint_files import read_checkpoint

CHOSEN = "RMIA"
"""The attack that says so: chosen beforehand, so that no chance among many attacks is taken for a finding."""

NAMED = 10
"""Images."""

FEWEST = 10
"""Images that must show a class on either side of every victim, for its pixels to be attacked."""


def worst(out: Path, draw: Draw, answers: list[list[Row]], losses: np.ndarray) -> Row:
    """answers: by model and image. losses: [models, images], the signal that the attack ``CHOSEN`` compares."""
    scores = np.array([rmia(losses, draw.members, victim) for victim in range(len(losses))])
    bound = epsilon_of_game(scores, draw.members, draw.block)
    trained, others = moved_by_training(scores, draw.members)
    apart = np.where(draw.block == DROPPED, np.nan, trained - others)
    order = np.argsort(-apart, kind="stable")[: min(NAMED, int(np.isfinite(apart).sum()))]
    return {
        "epsilon": {"attack": CHOSEN, **bound._asdict(), "of_an_image": bound.of_an_image},
        "given_away": {
            "attack": CHOSEN,
            "images": [
                {"id": draw.ids[place], "trained_on": float(trained[place]), "others": float(others[place])}
                for place in order
            ],
        },
        "classes": _classes(out, draw, answers),
    }


def _classes(out: Path, draw: Draw, answers: list[list[Row]]) -> list[Row]:
    """The AUC of the mean logit over one class's pixels; images: that show it, means over victims."""
    content = read_checkpoint(out / "model_00" / "checkpoints" / "last.ckpt")["tessella"]
    logits = np.array([[row["of_classes"] for row in rows] for rows in answers], float)
    table = []
    for (name, _), values in zip(content["classes"], np.moveaxis(logits, 2, 0), strict=True):
        shown = [(which & np.isfinite(values)).sum(1) for which in draw.sides.values()]
        known = min(map(np.min, shown)) >= FEWEST
        area = assess_game(values, draw.members, draw.block).auc._asdict() if known else None
        table.append({"name": name, "images": [float(each.mean()) for each in shown], "auc": area})
    return table
