"""Rendered objects of which it is known what they may look like: normals, and twelve ways to paint them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import ArrayLike

from tessella.datasets.conditions import encode_normals
from tessella.errors import InputError
from tessella.files import png, write_bytes, write_text
from tessella.scenes.files import require_same_settings
from tessella.scenes.object_shapes import draw_solids

COLORS = {
    "red": (0.86, 0.16, 0.13),
    "yellow": (0.95, 0.78, 0.12),
    "green": (0.16, 0.62, 0.24),
    "cyan": (0.16, 0.72, 0.80),
    "blue": (0.16, 0.28, 0.86),
    "magenta": (0.82, 0.22, 0.74),
}


def _unit(direction: ArrayLike) -> np.ndarray:
    return np.asarray(direction) / np.linalg.norm(direction)


class Mode(NamedTuple):
    """A way to paint the objects of a picture."""

    color: str
    is_striped: bool


MODES = tuple(Mode(color, is_striped) for is_striped in (False, True) for color in COLORS)
"""All have the same chance, whatever the normals."""
JITTER = 0.04
"""Within a mode, objects are brighter or darker by up to this share, the same for all objects of a picture."""
BACKGROUND = 0.80
"""Grey of the ground, always the same."""
PICTURES: Mapping[str, int] = MappingProxyType({"train": 2000, "test": 100})
OBJECTS_VERSION = 1
"""It changes whenever the same seed gives other pictures."""
_SPLITS = ("train", "val", "test")
_SAMPLES = 2
_STRIPES = 1.5
_STRIPE_SHADE = 0.3
_LIGHT = _unit([-0.45, -0.65, -0.62])
_HALFWAY = _unit(_LIGHT - [0, 0, 1])  # between the light and the eye
_AMBIENT, _DIFFUSE, _SPECULAR, _SHININESS = 0.30, 0.78, 0.30, 30


class Objects(NamedTuple):
    """The objects of one picture, at ``_SAMPLES`` x ``_SAMPLES`` points of every pixel.

    normals: [S, S, 3], unit vectors in camera coordinates (x right, y down, z ahead), 0 where there is no object.
    stripes: [S, S], 1 in the stripes, 0 between them.
    """

    normals: np.ndarray
    stripes: np.ndarray


def build_objects(size: int, rng: np.random.Generator) -> Objects:
    """One to three objects, seen without perspective."""
    side = size * _SAMPLES
    position = (np.arange(side) + 0.5) * 2 / side - 1
    x, y = np.tile(position, side), np.repeat(position, side)
    normals, stripes = np.zeros((side * side, 3)), np.zeros(side * side)
    for solid in reversed(draw_solids(rng)):  # those in front cover those behind
        hit, normal, own = solid.first_hit(x, y)
        normals[hit] = normal
        # Even in the longest axis, so that it does not matter which of its ends is called the first.
        stripes[hit] = 1 / (1 + np.exp(12 * np.cos(2 * np.pi * _STRIPES * own[:, 0])))
    return Objects(normals.reshape(side, side, 3), stripes.reshape(side, side))


def paint(objects: Objects, mode: int, brightness: float = 1.0) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of objects in a mode: Lambert's and Blinn's reflection of a fixed light.

    brightness: of the objects; 1 without jitter.
    """
    color, is_striped = MODES[mode]
    albedo = np.broadcast_to(np.array(COLORS[color]), objects.normals.shape)
    if is_striped:
        albedo = albedo * (1 - (1 - _STRIPE_SHADE) * objects.stripes[:, :, None])
    diffuse = _AMBIENT + _DIFFUSE * np.maximum(objects.normals @ _LIGHT, 0)
    specular = _SPECULAR * np.maximum(objects.normals @ _HALFWAY, 0) ** _SHININESS
    light = brightness * (albedo * diffuse[:, :, None] + specular[:, :, None])
    is_object = np.any(objects.normals, axis=2, keepdims=True)
    picture = _average(np.where(is_object, np.minimum(light, 1), BACKGROUND))
    return np.round(255 * picture).astype(np.uint8)


def normal_map(objects: Objects) -> Float[np.ndarray, "H W 3"]:
    """Of each pixel the mean direction, a unit vector; 0 where objects cover less than half of it."""
    covered = _average(np.any(objects.normals, axis=2, keepdims=True).astype(float))
    average = _average(objects.normals)
    length = np.linalg.norm(average, axis=2, keepdims=True)
    return np.where((covered >= 0.5) & (length > 0), average / np.maximum(length, 1e-9), 0)


def _average(values: np.ndarray) -> np.ndarray:
    side, _, channels = values.shape
    return values.reshape(side // _SAMPLES, _SAMPLES, side // _SAMPLES, _SAMPLES, channels).mean(axis=(1, 3))


def render_objects(
    out: str | Path,
    pictures: Mapping[str, int] = PICTURES,
    size: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Render pairs of normals and pictures in the layout of ``PairedFolders``.

    ``SPLIT/conditions/00000.png``: normals, red, green, blue = (n + 1) / 2 * 255, black for the ground.
    ``SPLIT/images/00000.png``: the objects in one of ``MODES``, drawn by equal chance, and brighter or darker by up to
    ``JITTER``. ``SPLIT/modes.txt``: a line with name and mode for each.
    ``test/modes/00000/00.png`` to ``11.png``: the picture in every mode, without jitter.

    So the distribution of images given normals is known, but for what the rim of an object covers of a pixel.

    pictures: how many in each split (train, val, test). size: height and width. progress: called with the pictures
    that exist and the pictures wanted.

    Each picture is a function of seed, split and number. Those complete on disk are not rendered again, so an
    interrupted call resumes, and more can be added later; other settings need another folder.

    InputError: no or unknown splits, negative numbers, pictures under 16 pixels, a folder with other settings.
    """
    for split, count in pictures.items():
        if split not in _SPLITS:
            raise InputError(f"pictures names the split {split!r}: objects have {', '.join(_SPLITS)}")
        if count < 0:
            raise InputError(f"pictures[{split!r}] is {count}: give 0 or more")
    total = sum(pictures.values())
    if not total:
        raise InputError("pictures is 0 for every split: ask for at least 1")
    if size < 16:
        raise InputError(f"size is {size}: ask for at least 16 pixels")
    out = Path(out)
    require_same_settings(out, {"version": OBJECTS_VERSION, "kind": "objects", "size": size, "seed": seed})
    report = progress or (lambda done, total: None)
    done = 0
    report(done, total)
    for split, count in pictures.items():
        for number in range(count):
            _render_picture(out / split, split, number, size, seed)
            done += 1
            report(done, total)
        if count:
            names = sorted(path.stem for path in (out / split / "images").glob("*.png"))
            lines = (f"{name} {draw_mode(seed, split, int(name))[0]}\n" for name in names)
            write_text(out / split / "modes.txt", "".join(lines))


def draw_mode(seed: int, split: str, number: int) -> tuple[int, float]:
    """The mode and the brightness of a picture."""
    rng = _generator(seed, split, number, 1)
    return int(rng.integers(len(MODES))), float(rng.uniform(1 - JITTER, 1 + JITTER))


def _generator(seed: int, split: str, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, _SPLITS.index(split), number, purpose])


def _render_picture(folder: Path, split: str, number: int, size: int, seed: int) -> None:
    image = folder / "images" / f"{number:05}.png"
    condition = folder / "conditions" / f"{number:05}.png"
    references = [folder / "modes" / f"{number:05}" / f"{mode:02}.png" for mode in range(len(MODES))]
    wanted = [image, condition, *(references if split == "test" else [])]
    if all(path.exists() for path in wanted):
        return
    objects = build_objects(size, _generator(seed, split, number, 0))
    if split == "test":
        for mode, path in enumerate(references):
            write_bytes(path, png(paint(objects, mode)))
    write_bytes(condition, png(encode_normals(normal_map(objects))))
    write_bytes(image, png(paint(objects, *draw_mode(seed, split, number))))


def mode_of(
    images: UInt8[np.ndarray, "n H W 3"],
    references: UInt8[np.ndarray, "m H W 3"],
    objects: Bool[np.ndarray, "H W"],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The mode of each image and its distance to it.

    references: the picture in every mode. objects: which pixels belong to objects; others do not count.
    The distance is the root mean squared difference of 8-bit values. A mode counts as found where it is below
    ``mode_tolerance``.
    """
    distances = _distances(images, references, objects)
    return distances.argmin(axis=1), distances.min(axis=1)


def mode_tolerance(references: UInt8[np.ndarray, "m H W 3"], objects: Bool[np.ndarray, "H W"]) -> float:
    """Half of the smallest distance between two references: what is nearer to one is nearer to no other."""
    distances = _distances(references, references, objects)
    return float(distances[~np.eye(len(references), dtype=bool)].min() / 2)


def _distances(images: np.ndarray, references: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """[n, m] root mean squared differences."""
    if not objects.any():
        raise InputError("objects: marks no pixel; give those that have a normal")
    inside, targets = images[:, objects].astype(float), references[:, objects].astype(float)
    return np.stack([np.sqrt(((inside - target) ** 2).mean(axis=(1, 2))) for target in targets], axis=1)
