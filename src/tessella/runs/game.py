"""The membership game: several models, each trained on its own half of the same images, all asked about all of them.

Which blocks of video a model is trained on is left to chance, so that members and non-members differ in nothing else;
every model can then be the victim, and the others what an attacker compares it with.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from tessella.datasets import Listed
from tessella.datasets.joined import joined_by_name
from tessella.errors import InputError
from tessella.files import write_json, write_text
from tessella.membership_inference.black_box import checked
from tessella.membership_inference.blind import DRAWS, blind_scores
from tessella.membership_inference.blocks import DROPPED, blocks, coin_flips, frame_of
from tessella.networks.normalized import Normalized
from tessella.runs.asking import Kept, Row, ask_all, fingerprint, fingerprint_of
from tessella.runs.configuration import from_json, to_json
from tessella.runs.defended import defended, is_code
from tessella.runs.feature_gan import load_generator
from tessella.runs.model import load_model
from tessella.runs.segmentation import Segmentation
from tessella.runs.training import train
from tessella.training.machine import Machine

Checkpoint = Literal["last", "best"]
CHECKPOINTS: tuple[Checkpoint, ...] = ("last", "best")

HELD_BACK = 20
"""Where no frame is dropped at a cut, one block in so many is in no model: something must choose checkpoints."""


@dataclass(frozen=True)
class Game:
    """config, recipe, data: of each training. models: how many. length, buffer: of blocks of video, and what is dropped
    before a cut, in the unit of the last number in an image's name. seed: of the coins; model k is trained with seed
    ``config.seed + k``. generator: of the SynFeat defence, as ``defended`` takes it;
    ``{model}`` in it stands for a model's number, 00, 01, ...
    """

    config: Segmentation
    recipe: str
    data: Path
    models: int = 8
    length: float = 300.0
    buffer: float = 30.0
    seed: int = 0
    generator: str = ""


@dataclass(frozen=True)
class Draw:
    """Who is a member. ids: N images. block: [N], ``DROPPED`` for those in no model. members: [models, N]."""

    ids: tuple[str, ...]
    block: np.ndarray
    members: np.ndarray

    @property
    def sides(self) -> dict[str, np.ndarray]:
        """[models, N] each."""
        return {"members": self.members, "nonmembers": ~self.members & (self.block != DROPPED)}


def draw(game: Game, out: Path) -> Draw:
    """Flip the coins and write them to ``out``: ``game.json``, and for each model the lists of its images.

    Raises InputError where ``out`` holds another game, or the images are too few for one.
    """
    splits = _splits(game.config)
    parts = [game.config.dataset(game.data, split) for split in splits]
    frames = [
        frame_of(id_.removeprefix(f"{split}/"))
        for split, part in zip(splits, parts, strict=True)
        for id_ in part.ids
    ]
    block = blocks(frames, game.length, game.buffer)
    if not (block == DROPPED).any():
        block = np.where(block % HELD_BACK == 0, DROPPED, block)
    found = Draw(joined_by_name(parts).ids, block, coin_flips(block, game.models, game.seed))
    if game.models < 3 or len(set(block) - {DROPPED}) < 4:
        raise InputError(
            f"game: {game.models} models and {len(set(block) - {DROPPED})} blocks; at least 3 and 4 are needed"
        )
    _require_folds(found)
    description = {
        "recipe": game.recipe,
        "config": to_json(game.config),
        "data": str(game.data.resolve()),
        **{name: getattr(game, name) for name in ("models", "length", "buffer", "seed")},
        "ids": list(found.ids),
        "block": block.tolist(),
        "members": [np.flatnonzero(row).tolist() for row in found.members],
    }
    file = out / "game.json"
    if file.exists() and json.loads(file.read_text()) != json.loads(json.dumps(description)):
        raise InputError(f"{file}: is of another game; give another --out")
    for model, member in enumerate(found.members):
        lists = {"members": member, "nonmembers": ~member & (block != DROPPED), "dropped": block == DROPPED}
        for name, chosen in lists.items():
            lines = "".join(f"{found.ids[i]}\n" for i in np.flatnonzero(chosen))
            write_text(_folder(out, model) / "lists" / f"{name}.txt", lines)
    write_json(file, description)
    return found


def _require_folds(draw: Draw) -> None:
    """Before hours of training: InputError where the blind baseline, without a fifth of the blocks, lacks a side."""
    kept = draw.block != DROPPED
    for model, member in enumerate(draw.members):
        for seed in range(DRAWS):
            try:
                blind_scores(np.zeros((kept.sum(), 1)), member[kept], draw.block[kept].tolist(), seed=seed)
            except InputError as error:
                raise InputError(
                    f"game: {len(set(draw.block[kept]))} blocks are too few to judge model {model} by ({error}): give "
                    "a shorter length of blocks, or another seed"
                ) from error


def play(
    game: Game,
    out: Path,
    executor: Executor,
    *,
    label_only: bool = False,
    defences: Sequence[str] = (),
    threads: int | None = None,
    trusted: Sequence[str] = ("tessella",),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Draw:
    """Train and ask every model, side by side on ``executor``; what is done is not done again.

    defences: behind each of which every model is asked once more; NAME=STRENGTH, several joined by +, the first nearest
    to the model. threads: of each training; None for what its process has. trusted: packages whose
    classes ``game.config`` may name. progress: called with models done and all.
    """
    from_json(to_json(game.config), trusted)  # as every checkpoint will be read: before hours of training
    found = draw(game, out)
    _require_defences(game, defences, trusted)
    work = partial(
        train_and_ask,
        game,
        out,
        label_only=label_only,
        defences=defences,
        threads=threads,
        trusted=trusted,
    )
    futures: list[Future[None]] = [executor.submit(work, model=model) for model in range(game.models)]
    progress(0, game.models)
    for done, future in enumerate(as_completed(futures), 1):
        future.result()
        progress(done, game.models)
    return found


def _require_defences(game: Game, defences: Sequence[str], trusted: Sequence[str]) -> None:
    """Before hours of training: InputError for a defence that there is not, or that the network does not allow."""
    network = Normalized(game.config.network(2, 3), [0.0] * 3, [1.0] * 3)
    for defence in defences:
        names = defence.split("+")
        if names[0].startswith("synfeat") and game.generator and not is_code(game.generator):
            for model in range(game.models):
                trained = load_generator(_generator(game, model), trusted)
            defended(lambda images: images, trained.network, names, _generator(game, model), trusted=trusted)
        else:
            defended(lambda images: images, network, names, game.generator)


def _generator(game: Game, model: int) -> str:
    return game.generator.replace("{model}", f"{model:02d}")


def train_and_ask(
    game: Game,
    out: Path,
    *,
    model: int,
    label_only: bool,
    defences: Sequence[str],
    threads: int | None,
    trusted: Sequence[str],
) -> None:
    """One model, at its last and its best checkpoint. Label-only attacks and defences are on the last alone."""
    if threads is not None:
        torch.set_num_threads(threads)
    folder = _folder(out, model)
    config = replace(
        game.config,
        dataset=partial(
            Listed,
            dataset=game.config.dataset,
            lists=str(folder.absolute() / "lists"),
            of_splits=_splits(game.config),
        ),
        train_split="members",
        val_split="dropped",
        test_split="nonmembers",
        seed=game.config.seed + model,
    )
    last = folder / "checkpoints" / "last.ckpt"
    if not (folder / "trained").exists():
        outcome = train(
            config,
            game.recipe,
            game.data,
            folder,
            machine=Machine(progress=False),
            resume=last.exists(),
            trusted=trusted,
        )
        if outcome.interrupted:
            raise KeyboardInterrupt
        (folder / "trained").touch()
    for checkpoint in CHECKPOINTS:
        ask_model(game, out, model, checkpoint, label_only and checkpoint == "last", trusted=trusted)
    for defence in defences:
        ask_model(game, out, model, "last", False, defence, trusted=trusted)


def ask_model(
    game: Game,
    out: Path,
    model: int,
    checkpoint: Checkpoint,
    label_only: bool,
    defence: str = "",
    *,
    trusted: Sequence[str] = ("tessella",),
) -> list[Row]:
    """What a model says of every image of the game, those dropped too."""
    file = answers_file(out, model, checkpoint, defence)
    victim = load_model(str(_folder(out, model) / "checkpoints" / f"{checkpoint}.ckpt"), trusted)
    pool = joined_by_name([game.config.dataset(game.data, split) for split in _splits(game.config)])
    head = {"weights": fingerprint(victim.network)}
    if defence.startswith("synfeat"):
        head["generator"] = fingerprint_of(_generator(game, model))
    twin = answers_file(out, model, "last")
    if checkpoint == "best" and not file.exists() and twin.read_text().startswith(json.dumps(head) + "\n"):
        shutil.copyfile(twin, file)  # the best was the last
    kept = Kept(file, head)
    maps = maps_file(out, model, defence) if checkpoint == "last" else None
    protected = defended(
        victim,
        victim.network,
        defence.split("+") if defence else [],
        _generator(game, model),
        secret=f"of model {model}".encode(),  # an attacker does not know the victim's
        trusted=trusted,
    )
    black_box = checked(protected, len(pool.classes))
    return ask_all(black_box, pool, kept, side="", label_only=label_only, maps=maps)


def answers_file(out: Path, model: int, checkpoint: Checkpoint, defence: str = "") -> Path:
    return _folder(out, model) / f"answers_{checkpoint}{'_' if defence else ''}{defence}.jsonl"


def maps_file(out: Path, model: int, defence: str = "") -> Path:
    """What the learned attack looks at, at the last checkpoint."""
    return _folder(out, model) / f"maps{'_' if defence else ''}{defence}.npy"


def _folder(out: Path, model: int) -> Path:
    return out / f"model_{model:02d}"


def _splits(config: Segmentation) -> tuple[str, ...]:
    """All that the recipe names, each once."""
    names: Iterator[str] = (
        name
        for split in (config.train_split, config.val_split, config.test_split)
        for name in split.split("+")
    )
    return tuple(dict.fromkeys(names))
