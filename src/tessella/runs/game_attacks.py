"""Attacks on the models of a game, from what they were asked: ``game_result.json``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np

from tessella.errors import InputError
from tessella.files import write_json
from tessella.membership_inference.answers import STEADINESS, utility
from tessella.membership_inference.blind import DRAWS, blind_scores
from tessella.membership_inference.blocks import DROPPED
from tessella.membership_inference.game import GameAssessment, assess_game
from tessella.membership_inference.learned import KINDS, Kind
from tessella.membership_inference.reference import SEVERAL, lira, rmia
from tessella.membership_inference.signals import AT_POINTS, POINTS, SIGNALS
from tessella.membership_inference.statistics import Estimate, histogram_similarity
from tessella.membership_inference.verdict import OF_A_GAME, verdict
from tessella.runs.asking import Row, scores_of
from tessella.runs.environment import environment
from tessella.runs.game import CHECKPOINTS, Checkpoint, Draw, answers_file
from tessella.runs.game_learned import learned_scores
from tessella.runs.game_worst import worst
from tessella.runs.not_run import not_run_in_game

KINDS_BEHIND: tuple[Kind, ...] = ("posteriors",)
"""Behind defences; each kind is another network to train."""

Answers = list[list[Row]]
"""By model and image."""


def attack_game(
    out: Path, attacker_steps: int = 1500, defences: Sequence[str] = (), command: str = ""
) -> Row:
    """Every attack with every model as its victim.

    attacker_steps: of training the learned attack's network; 0 leaves it out. defences: behind which models were asked.
    command: that repeats it, for the report.

    Raises InputError where the game in ``out`` is not played out.
    """
    game, draw = read_game(out)
    block = draw.block
    answers = {checkpoint: read_answers(out, draw, checkpoint) for checkpoint in CHECKPOINTS}
    checkpoints = {
        checkpoint: {
            **_attacked(draw, rows, _learned(out, draw, attacker_steps) if checkpoint == "last" else {}),
            "blind": [_blind(rows[0], draw, seed)._asdict() for seed in range(DRAWS)],
        }
        for checkpoint, rows in answers.items()
    }
    behind = {name: _behind(out, draw, name, answers["last"], attacker_steps) for name in defences}
    guarantees = _guarantees(out, game["models"])
    last = checkpoints["last"]
    result = {
        **{name: game[name] for name in ("recipe", "models", "length", "buffer", "seed")},
        "command": command,
        "images": len(block),
        "images_in_no_model": int((block == DROPPED).sum()),
        "blocks": len(set(block[block != DROPPED])),
        "sides": {name: int(sum(map(np.sum, which))) for name, which in draw.sides.items()},
        "guarantees": guarantees,
        "verdict": verdict(
            [Estimate(**draw) for draw in last["blind"]],
            {name: Estimate(**attack["auc_among_attacks"]) for name, attack in last["attacks"].items()},
            OF_A_GAME,
        ),
        "checkpoints": checkpoints,
        "defences": behind,
        **worst(out, draw, answers["last"], _signals(answers["last"])["loss"]),
        "not_run": not_run_in_game(last["attacks"], behind, private=bool(guarantees)),
        **environment(),
    }
    write_json(out / "game_result.json", result)
    return result


def _guarantees(out: Path, models: int) -> list[str]:
    """Of differential privacy, where the models were trained with it."""
    files = [out / f"model_{model:02d}" / "privacy.json" for model in range(models)]
    return [json.loads(file.read_text())["guarantee"] for file in files if file.exists()]


def read_game(out: Path) -> tuple[Row, Draw]:
    """What ``game.json`` says, and who is a member."""
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
    return game, Draw(tuple(game["ids"]), block, members)


def _learned(
    out: Path, draw: Draw, steps: int, kinds: Sequence[Kind] = KINDS, defence: str = "", aware: bool = True
) -> dict[str, np.ndarray]:
    """Scores of the learned attack, of images and of the patch in the middle of each."""
    scores: dict[str, np.ndarray] = {}
    for kind in kinds if steps else ():
        found = learned_scores(out, draw.members, draw.block, kind, steps=steps, defence=defence, aware=aware)
        middle = found.patches[..., found.patches.shape[2] // 2]
        scores |= {f"learned, {kind}": found.images, f"learned, {kind}, one patch": middle}
    return scores


def _attacked(draw: Draw, answers: Answers, more: dict[str, np.ndarray]) -> Row:
    """more: scores of other attacks, [models, images]."""
    own = _signals(answers)
    scores = own | _with_references(own, own, draw.members) | more
    sides = draw.sides
    confidence = own["confidence"]
    return {
        "attacks": {
            name: _described(assess_game(values, draw.members, draw.block, among=len(scores)))
            for name, values in scores.items()
        },
        "confidences": {
            name: np.histogram(confidence[which], 100, (0, 1))[0].tolist() for name, which in sides.items()
        },
        "similarity_of_confidences": [
            histogram_similarity(*(values[which] for which in victim))
            for values, *victim in zip(confidence, *sides.values(), strict=True)
        ],
        "utility": [
            {
                name: utility([rows[place] for place in np.flatnonzero(which)]).as_row()
                for name, which in zip(sides, victim, strict=True)
            }
            for rows, *victim in zip(answers, *sides.values(), strict=True)
        ],
    }


def _behind(out: Path, draw: Draw, defence: str, undefended: Answers, steps: int) -> Row:
    """Attacks whose references and shadows are defended as the victim is, and, "unaware", those of an attacker who does
    not know of it.
    """
    answers = read_answers(out, draw, "last", defence)
    unaware = _with_references(_signals(answers), _signals(undefended), draw.members)
    unaware |= _learned(out, draw, steps, KINDS_BEHIND, defence, aware=False)
    return {
        **_attacked(draw, answers, _learned(out, draw, steps, KINDS_BEHIND, defence)),
        "unaware": {
            name: assess_game(values, draw.members, draw.block).auc._asdict()
            for name, values in unaware.items()
        },
    }


def _signals(answers: Answers) -> dict[str, np.ndarray]:
    """[models, images] of each attack that needs nothing but a victim's answer."""
    names = [name for name in (*SIGNALS, STEADINESS) if all(name in row["scores"] for row in chain(*answers))]
    return {name: np.array([scores_of(rows, name) for rows in answers]) for name in names}


def read_answers(out: Path, draw: Draw, checkpoint: Checkpoint, defence: str = "") -> Answers:
    found = []
    for model in range(len(draw.members)):
        file = answers_file(out, model, checkpoint, defence)
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        rows = {row["id"]: row for row in map(json.loads, lines)}
        missing = [id_ for id_ in draw.ids if id_ not in rows]
        if missing:
            raise InputError(f"{file}: has no answer about {missing[0]}; play the game to its end")
        found.append([rows[id_] for id_ in draw.ids])
    return found


def _with_references(
    own: dict[str, np.ndarray], others: dict[str, np.ndarray], members: np.ndarray
) -> dict[str, np.ndarray]:
    """Attacks that compare a victim, its signals from ``own``, with all other models, theirs from ``others``."""
    found: dict[str, list[np.ndarray]] = {}
    for victim in range(len(members)):
        mixed = {
            name: np.where(np.arange(len(members))[:, None] == victim, own[name], others[name])
            for name in SIGNALS
        }
        logit, loss = mixed["logit"][..., None], mixed["loss"]
        several = np.stack([mixed[name] for name in SEVERAL], axis=2)
        for name, scores in {
            "LiRA": lira(logit, members, victim),
            "LiRA, several signals": lira(several, members, victim),
            "LiRA, offline": lira(logit, members, victim, online=False),
            "RMIA": rmia(loss, members, victim),
            "RMIA, offline": rmia(loss, members, victim, online=False),
            f"RMIA at {POINTS} points": rmia(mixed[AT_POINTS], members, victim),
        }.items():
            found.setdefault(name, []).append(scores)
    return {name: np.array(rows) for name, rows in found.items()}


def _blind(answers: list[Row], draw: Draw, seed: int) -> Estimate:
    """What the pictures alone tell of each model's members; the answers are not looked at."""
    kept = draw.block != DROPPED
    described = np.array([row["seen"] for row in answers])[kept]
    scores = np.full(draw.members.shape, np.nan)
    for row, member in zip(scores, draw.members, strict=True):
        row[kept] = blind_scores(described, member[kept], draw.block[kept].tolist(), seed=seed)
    return assess_game(scores, draw.members, draw.block).auc


def _described(found: GameAssessment) -> Row:
    row = asdict(found)
    for name, value in vars(found).items():
        if hasattr(value, "_asdict") and name != "curve":
            row[name] = value._asdict()
        elif isinstance(value, dict):
            row[name] = {str(rate): None if e is None else e._asdict() for rate, e in value.items()}
    row["aucs"] = list(found.aucs)
    row["curve"] = {
        "false": found.curve.false_positive_rate.round(5).tolist(),
        "true": found.curve.true_positive_rate.round(5).tolist(),
    }
    return row
