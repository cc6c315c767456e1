"""Attacks on the models of a game, from what they were asked: ``game_result.json``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tessella.errors import InputError
from tessella.membership_inference.answers import STEADINESS, mean_iou
from tessella.membership_inference.blind import blind_scores
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.game import GameAssessment, assess_game
from tessella.membership_inference.reference import lira, rmia
from tessella.membership_inference.signals import SIGNALS
from tessella.membership_inference.statistics import histogram_similarity
from tessella.runs.asking import Row, scores_of
from tessella.runs.environment import environment, write_json
from tessella.runs.game import CHECKPOINTS, Checkpoint, answers_file
from tessella.runs.game_learned import KINDS, learned_scores

SEVERAL = ("logit", "logit, lowest 5%", "logit at boundaries", "entropy")
"""What the likelihood ratio of several signals takes: the mean, the hardest pixels, edges, and how sure it is."""

BLIND_DRAWS = 5


def attack_game(out: Path, attacker_steps: int = 1500) -> Row:
    """Every attack with every model as its victim.

    attacker_steps: of training the learned attack's network; 0 leaves it out.

    Raises InputError where the game in ``out`` is not played out.
    """
    try:
        game = json.loads((out / "game.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{out / 'game.json'}: is missing or damaged ({error}); play the game again"
        ) from error
    block = np.array(game["block"])
    members = np.zeros((game["models"], len(block)), bool)
    for row, places in zip(members, game["members"], strict=True):
        row[places] = True
    result = {
        **{name: game[name] for name in ("recipe", "data", "models", "length", "buffer", "seed")},
        "images": len(block),
        "images_in_no_model": int((block == DROPPED).sum()),
        "blocks": len(set(block[block != DROPPED])),
        "checkpoints": {
            checkpoint: _attack(out, checkpoint, game["ids"], members, block, attacker_steps)
            for checkpoint in CHECKPOINTS
        },
        **environment(),
    }
    write_json(out / "game_result.json", result)
    return result


def _attack(
    out: Path,
    checkpoint: Checkpoint,
    ids: list[str],
    members: np.ndarray,
    block: np.ndarray,
    attacker_steps: int,
) -> Row:
    answers = [_answers(answers_file(out, model, checkpoint), ids) for model in range(len(members))]
    of_name = {name: np.array([scores_of(rows, name) for rows in answers]) for name in SIGNALS}
    scores = dict(of_name)
    if STEADINESS in answers[0][0]["scores"]:
        scores[STEADINESS] = np.array([scores_of(rows, STEADINESS) for rows in answers])
    scores |= _with_references(of_name, members)
    if checkpoint == "last" and attacker_steps:  # of the best there are no maps
        for kind in KINDS:
            images, patches = learned_scores(out, members, block, kind, steps=attacker_steps)
            scores |= {
                f"learned, {kind}": images,
                f"learned, {kind}, one patch": patches[..., patches.shape[2] // 2],
            }
    kept = block != DROPPED
    utility = [
        {name: mean_iou([row for row, yes in zip(rows, which, strict=True) if yes]) for name, which in sides}
        for rows, member in zip(answers, members, strict=True)
        for sides in [(("members", member), ("nonmembers", ~member & kept))]
    ]
    return {
        "attacks": {name: _described(assess_game(values, members, block)) for name, values in scores.items()},
        "blind": [_blind(answers[0], members, block, seed)._asdict() for seed in range(BLIND_DRAWS)],
        "similarity_of_confidences": [
            histogram_similarity(values[member], values[~member & kept])
            for values, member in zip(of_name["confidence"], members, strict=True)
        ],
        "mean_iou": utility,
    }


def _answers(file: Path, ids: list[str]) -> list[Row]:
    lines = file.read_text().splitlines()[1:] if file.exists() else []
    rows = {row["id"]: row for row in map(json.loads, lines)}
    missing = [id_ for id_ in ids if id_ not in rows]
    if missing:
        raise InputError(f"{file}: has no answer about {missing[0]}; play the game to its end")
    return [rows[id_] for id_ in ids]


def _with_references(of_name: dict[str, np.ndarray], members: np.ndarray) -> dict[str, np.ndarray]:
    """Attacks that compare the victim with all other models."""
    logit, several = of_name["logit"][..., None], np.stack([of_name[name] for name in SEVERAL], axis=2)
    victims = range(len(members))
    return {
        "LiRA": np.array([lira(logit, members, v) for v in victims]),
        "LiRA, several signals": np.array([lira(several, members, v) for v in victims]),
        "LiRA, offline": np.array([lira(logit, members, v, online=False) for v in victims]),
        "RMIA": np.array([rmia(of_name["loss"], members, v) for v in victims]),
        "RMIA, offline": np.array([rmia(of_name["loss"], members, v, online=False) for v in victims]),
    }


def _blind(answers: list[Row], members: np.ndarray, block: np.ndarray, seed: int) -> Any:
    """What the pictures alone tell of each model's members; the answers are not looked at."""
    kept = block != DROPPED
    described = np.array([row["seen"] for row in answers])[kept]
    scores = np.full(members.shape, np.nan)
    for row, member in zip(scores, members, strict=True):
        row[kept] = blind_scores(described, member[kept], block[kept].tolist(), seed=seed)
    return assess_game(scores, members, block).auc


def _described(found: GameAssessment) -> Row:
    row = asdict(found)
    for name, value in vars(found).items():
        if hasattr(value, "_asdict") and name != "curve":
            row[name] = value._asdict()
        elif isinstance(value, dict):
            row[name] = {str(rate): None if e is None else e._asdict() for rate, e in value.items()}
    row["aucs"] = list(found.aucs)
    # Of thousands of points a few hundred draw the same line.
    points = np.unique(np.linspace(0, len(found.curve.thresholds) - 1, 300).astype(int))
    row["curve"] = {
        "false": found.curve.false_positive_rate[points].tolist(),
        "true": found.curve.true_positive_rate[points].tolist(),
    }
    return row
