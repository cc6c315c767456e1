"""Samples images of conditions: files, contact sheets, interpolations, scores."""

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from tessella.datasets.condition_files import ConditionFiles
from tessella.datasets.conditions import is_normals
from tessella.datasets.loading import planes
from tessella.datasets.pairs import Pair
from tessella.errors import InputError
from tessella.files import png, write_bytes, write_json
from tessella.image_generation import Shared
from tessella.image_generation.codes import interpolate
from tessella.pictures import contact_sheet, default_palette
from tessella.runs.environment import environment
from tessella.runs.image_scores import ImageScores, Judges
from tessella.runs.images import TrainedImages

ON_SHEET = 8
"""Conditions, and samples of each; half as many conditions in interpolations."""


def find_conditions(inputs: Iterable[str], trained: TrainedImages, limit: int = 0) -> Iterator[Pair]:
    """Files of conditions, folders of them, and splits of the generator's data set as PATH:SPLIT.

    limit: of each at most so many; 0 for all.
    Raises InputError where there is none, or where a condition has other channels than the generator's or is not
    finite.
    """
    if limit < 0:
        raise InputError(f"limit is {limit}: give how many conditions of each, or 0 for all")
    for text in inputs:
        folder, colon, split = text.rpartition(":")
        if colon and not Path(text).exists():
            dataset: Any = trained.config.dataset(Path(folder), split)
        else:
            dataset = _files(Path(text), trained.config.dataset)
        for index in range(min(limit or len(dataset), len(dataset))):
            pair = dataset[index]
            if pair.condition.shape[2] != trained.condition_channels:
                raise InputError(
                    f"{text}: the condition of {pair.id} has {pair.condition.shape[2]} channels, the generator takes "
                    f"{trained.condition_channels}"
                )
            if not np.isfinite(pair.condition).all():
                raise InputError(f"{text}: the condition of {pair.id} is not finite; check its file")
            yield pair


def _files(path: Path, dataset: Any) -> ConditionFiles:
    """In the form of conditions that the generator's data set has."""
    parameters = inspect.signature(dataset).parameters
    known = {"condition", "size", "classes", "sigma"} & set(parameters)
    options = {"condition": "landmarks", **{name: parameters[name].default for name in known}}
    # A data set whose own files count otherwise says so.
    first = getattr(getattr(dataset, "func", dataset), "first_pixel", 1.0)
    return ConditionFiles(path, first=first, **options)


@torch.no_grad()
def sample_images(
    trained: TrainedImages,
    pairs: Iterable[Pair],
    out: Path,
    *,
    codes: int,
    seed: int = 0,
    judges: Judges = (),
    interpolated: bool = False,
    save: bool = True,
    at_once: int = 32,
    device: torch.device,
) -> dict[str, Any]:
    """Write ``images/NAME/000.png`` (unless ``save`` is off), ``sheet.png``, ``scores.json``; the scores are returned.

    codes: images of each condition; the training codes come first. seed: of the new ones, the same for all conditions.
    interpolated: also write ``interpolation.png``; without it, one that an earlier call left is removed. at_once:
    images made and scored together; memory does not grow with ``codes``, but where a condition has its own image for
    the pixels (uint8) of the condition's samples.

    Raises InputError where there is no condition, where two have the same name, where the generator cannot make so many
    images, and for interpolation without codes.
    """
    generator = trained.generator.to(device)
    drawn = generator.draw(codes, torch.Generator().manual_seed(seed)).to(device)
    scores = ImageScores([judge.to(device) for judge in judges], at_once)
    rows: list[list[np.ndarray | None]] = []
    strips: list[list[np.ndarray]] = []
    digits = max(3, len(str(codes - 1)))  # so that names sort as codes do
    seen: set[str] = set()
    for pair in pairs:
        if pair.id in seen:
            raise InputError(f"two conditions are named {pair.id}: sample them into separate folders")
        seen.add(pair.id)
        condition = planes(pair.condition)[None].to(device)
        kept: list[Tensor] = []
        done = 0
        torch.manual_seed(seed)  # pix2pix draws by dropout
        for images in _images(generator, condition, drawn, at_once):
            if pair.image is not None or done < ON_SHEET:
                kept.append(images)
            if save:
                for number, picture in enumerate(_pictures(images), done):
                    write_bytes(out / "images" / pair.id / f"{number:0{digits}d}.png", png(picture))
            done += len(images)
        if save:
            _remove_others(out / "images" / pair.id, {f"{number:0{digits}d}" for number in range(done)})
        if pair.image is not None:
            scores.update(pair, torch.cat(kept))
        if len(rows) < ON_SHEET:
            pictures = _pictures(torch.cat(kept)[:ON_SHEET])
            rows.append([condition_picture(pair), pair.image, *pictures])
            if interpolated and len(strips) < ON_SHEET // 2:
                strips.append(_strip(generator, condition, drawn, at_once))
    if not seen:
        raise InputError("there is no condition to sample images for")
    titles = ["Condition", "Image", *(f"Code {n}" for n in range(len(rows[0]) - 2))]
    if all(row[1] is None for row in rows):
        titles, rows = [titles[0], *titles[2:]], [[row[0], *row[2:]] for row in rows]
    write_bytes(out / "sheet.png", png(contact_sheet(rows, titles, height=128)))
    (out / "interpolation.png").unlink(missing_ok=True)
    if strips:
        write_bytes(
            out / "interpolation.png", png(contact_sheet(strips, ["First", *[""] * 6, "Second"], height=128))
        )
    branches = getattr(generator, "branches", 0)
    result = {"codes": codes, "branches": branches, "seed": seed, **scores.compute(), **environment()}
    write_json(out / "scores.json", result)
    return result


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Samples that an earlier call with more codes left."""
    for file in folder.glob("*.png"):
        if file.stem.isdigit() and file.stem not in kept:
            file.unlink()


def _images(generator: Any, condition: Tensor, codes: Tensor, at_once: int) -> Iterator[Tensor]:
    """[at_once, 3, H, W] uint8."""
    encoded = generator.encode(condition)
    for part in codes.split(at_once):
        items = torch.zeros(len(part), dtype=torch.long, device=condition.device)
        images = generator.decode(encoded, items, part)
        yield (images.float() * 255).round().clamp(0, 255).byte()


def _strip(generator: Any, condition: Tensor, codes: Tensor, at_once: int) -> list[np.ndarray]:
    """From the first code to the second."""
    if not isinstance(generator, Shared) or len(codes) < 2:
        raise InputError("interpolation needs a generator with latent codes (Shared), and at least two codes")
    between = torch.stack([interpolate(codes[0], codes[1], share) for share in np.linspace(0, 1, 8)])
    return _pictures(torch.cat(list(_images(generator, condition, between, at_once))))


def _pictures(images: Tensor) -> list[np.ndarray]:
    return list(images.cpu().numpy().transpose(0, 2, 3, 1))


def condition_picture(pair: Pair) -> np.ndarray:
    """[H, W, 3] uint8: normals as colours; of other maps the largest at each place, in its channel's colour."""
    condition = pair.condition
    if pair.landmarks is None and is_normals(condition):
        return ((condition + 1) * 127.5).round().astype(np.uint8)
    largest, channel = condition.max(axis=2), condition.argmax(axis=2)
    colors = default_palette(condition.shape[2]) if condition.shape[2] > 1 else np.full((1, 3), 255)
    picture = (largest.clip(0, 1)[:, :, None] * colors[channel]).astype(np.uint8)
    # Single pixels would vanish where the sheet is made smaller.
    return cv2.dilate(picture, np.ones((3, 3), np.uint8)) if largest.mean() < 0.1 else picture
