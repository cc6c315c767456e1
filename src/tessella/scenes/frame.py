"""Rendering: a seed becomes a world, a world becomes frames with everything that is known about them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tessella.errors import InputError
from tessella.scenes import room, sensor, street
from tessella.scenes.classes import ROOM
from tessella.scenes.lighting import radiance
from tessella.scenes.motion import View, flow
from tessella.scenes.raster import cast
from tessella.scenes.world import World

Kind = Literal["street", "room"]
SPLITS: dict[str, tuple[str, ...]] = {"street": ("train", "val", "test"), "room": ("train", "test")}
"""The splits of each kind, as Cityscapes and NYUDv2 have them."""
PLACES: dict[str, Any] = {"street": street, "room": room}
_GLASSY = [ROOM[name] for name in ("window", "mirror", "television")]


@dataclass(frozen=True)
class Frame:
    """One frame of a video and its truth.

    image: [H, W, 3] uint8 RGB.
    depth: [H, W] float32, exact distance along the optical axis in metres; 0 for the sky.
    noisy_depth: [H, W] float32, as a stereo rig (street) or a Kinect (room) measures it; 0 in its holes.
    normals: [H, W, 3] float32 unit vectors in camera coordinates (x right, y down, z ahead); 0 for the sky.
    labels: [H, W] uint8 official ids: Cityscapes' label ids, or 1-40 of NYUDv2's 40 classes;
        ``TRAIN_LABELS[kind][labels]`` are indices into the data set's classes.
    instances: [H, W] uint16, one number per object, constant over the video; 0 for the sky.
    pose: [4, 4] float64 camera to world. intrinsics: [3, 3] float64.
    flow_forward, flow_backward: [H, W, 2] float32 displacement (columns, rows) to the next, previous frame.
    visible_forward, visible_backward: [H, W] bool, whether the point is seen there. Where there is no next or
    previous frame the flow is 0 and nothing is visible.
    """

    image: np.ndarray
    depth: np.ndarray
    noisy_depth: np.ndarray
    normals: np.ndarray
    labels: np.ndarray
    instances: np.ndarray
    pose: np.ndarray
    intrinsics: np.ndarray
    flow_forward: np.ndarray
    flow_backward: np.ndarray
    visible_forward: np.ndarray
    visible_backward: np.ndarray


def sequence_key(kind: str, split: str, number: int, seed: int) -> tuple[int, ...]:
    """The seed of one sequence of a data set."""
    return (seed, list(SPLITS).index(kind), SPLITS["street"].index(split), number)


def labelled_position(frames: int) -> int:
    """Which frame of a sequence is labelled: the 20th of 30, as in Cityscapes, in proportion for fewer."""
    return min(19, (2 * (frames - 1) + 1) // 3)


def check_request(kind: str, frames: int, height: int, width: int, interval: float | None) -> None:
    """InputError for an unknown kind, fewer than one frame, pictures under 32 pixels, or no time between frames."""
    if kind not in SPLITS:
        raise InputError(f"kind is {kind!r}: choose one of {', '.join(SPLITS)}")
    if frames < 1:
        raise InputError(f"frames is {frames}: ask for at least 1 per sequence")
    if min(height, width) < 32:
        raise InputError(f"height x width is {height} x {width}: ask for at least 32 pixels each way")
    if interval is not None and not 0 < interval < 10:
        raise InputError(f"interval is {interval}: ask for a few tenths of a second between frames")


def sequence(
    kind: Kind,
    key: tuple[int, ...] | int,
    frames: int,
    height: int = 240,
    width: int = 320,
    only: Iterable[int] | None = None,
    interval: float | None = None,
) -> Iterator[Frame]:
    """Render one video; the result is a function of the arguments alone.

    key: the seed. only: numbers of the frames wanted (default: all), in any order. interval: seconds from one frame
        to the next; None for those of Cityscapes (1/17) and of NYUDv2's window (0.1). What the labelled
        frame shows does not depend on it.

    Raises InputError as ``check_request`` does.
    """
    check_request(kind, frames, height, width, interval)
    seed = [key] if isinstance(key, int) else list(key)
    place = PLACES[kind]
    times = (np.arange(frames) - labelled_position(frames)) * (
        place.INTERVAL if interval is None else interval
    )
    world = place.build(np.random.default_rng(seed), times, height, width)
    views: dict[int, View] = {}
    for number in range(frames) if only is None else only:
        near = [other for other in (number - 1, number, number + 1) if 0 <= other < frames]
        views = {other: views.get(other) or _view(world, other) for other in near}
        yield _frame(kind, world, views, number, np.random.default_rng([*seed, 1 + number]))


def _view(world: World, number: int) -> View:
    camera, shapes = world.cameras[number], world.scene.at(number)
    visible = cast(camera, shapes)
    return View(camera, shapes, visible, np.append(shapes.instance, np.uint16(0))[visible.shape])


def _frame(kind: Kind, world: World, views: dict[int, View], number: int, rng: np.random.Generator) -> Frame:
    view = views[number]
    camera, inverse = view.camera, view.visible.inverse_depth
    light, normals = radiance(camera, view.shapes, view.visible, world.light)
    image = sensor.develop(light, world.exposure, world.white_balance, world.noise, rng)
    labels = np.append(view.shapes.label, np.uint8(world.empty_label))[view.visible.shape]
    depth = np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1), 0).astype(np.float32)
    if kind == "street":
        noisy = sensor.stereo(depth, camera, rng)
    else:
        dark = np.isin(labels, _GLASSY) | (light.max(axis=2) < 0.012)
        noisy = sensor.kinect(depth, normals, dark, camera, rng)
    nowhere = np.zeros((*depth.shape, 2), np.float32), np.zeros(depth.shape, bool)
    forward = flow(view, views[number + 1]) if number + 1 in views else nowhere
    backward = flow(view, views[number - 1]) if number - 1 in views else nowhere
    return Frame(
        image=image,
        depth=depth,
        noisy_depth=noisy,
        normals=normals @ camera.pose[:3, :3].astype(np.float32),
        labels=labels,
        instances=view.instances,
        pose=camera.pose,
        intrinsics=camera.intrinsics,
        flow_forward=forward[0],
        flow_backward=backward[0],
        visible_forward=forward[1],
        visible_backward=backward[1],
    )
