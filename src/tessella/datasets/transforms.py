"""Joint random transforms of a sample: image, labels, depth, regions and neighbouring frames move together.

A transform is a callable ``(Sample, numpy.random.Generator) -> Sample``; all its chance comes from that generator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from tessella.datasets.sample import IGNORE_INDEX, Sample
from tessella.errors import InputError

Transform = Callable[[Sample, np.random.Generator], Sample]

_GREY_WEIGHTS = np.array([[0.299, 0.587, 0.114]], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Compose:
    """Apply transforms one after the other."""

    transforms: Sequence[Transform]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


@dataclass(frozen=True)
class RandomAffineCrop:
    """Random scale, rotation, horizontal flip and crop, as one resampling of the pixels that remain.

    One warp instead of four blurs the image once, and costs only the pixels of the crop however large the image.

    size: (height, width) of the result.
    scale: bounds of the zoom; its logarithm is uniform, so that halving is as likely as doubling.
    rotation: largest angle in degrees, either way.
    flip: mirror left and right in half of the cases.

    What falls outside the picture is ``IGNORE_INDEX`` in the labels, 0 in the depth, -1 in the regions, and mid-grey in
    the image. Labels, depth and regions are taken from the nearest pixel: no class is invented and no depth appears
    between two surfaces.
    Depth stays in metres whatever the zoom.
    """

    size: tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    rotation: float = 0.0
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale {self.scale} must be two positive numbers in rising order")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        matrix = self._draw(sample.image.shape[:2], rng)
        return self._warp(sample, matrix)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """The 2 x 3 matrix from pixel coordinates of the source to those of the crop."""
        height, width = self.size
        zoom = float(np.exp(rng.uniform(*np.log(self.scale))))
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        mirror = -1.0 if self.flip and rng.random() < 0.5 else 1.0
        linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear[0] *= mirror
        # The crop's centre lies where the crop stays inside the zoomed picture, or, where the picture is
        # smaller than the crop, where the picture stays inside the crop.
        source = np.array([shape[1], shape[0]])
        room = (source - np.array([width, height]) / zoom) / 2
        centre = source / 2 + rng.uniform(-1, 1, 2) * np.abs(room)
        offset = (np.array([width, height]) - 1) / 2 - linear @ (centre - 0.5)
        return np.column_stack([linear, offset])

    def _warp(self, sample: Sample, matrix: np.ndarray) -> Sample:
        def warp(array: np.ndarray, nearest: bool, fill: float) -> np.ndarray:
            return cv2.warpAffine(
                array,
                matrix,
                (self.size[1], self.size[0]),
                flags=cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(fill,) * 4,
            )

        def warp_image(image: np.ndarray) -> np.ndarray:
            # OpenCV fills the border of at most four channels at once.
            grey = np.iinfo(image.dtype).max // 2 if image.dtype.kind == "u" else 0.0
            parts = [warp(image[..., c : c + 4], False, grey) for c in range(0, image.shape[2], 4)]
            return np.concatenate([part.reshape(*self.size, -1) for part in parts], axis=2)

        def warp_regions(regions: np.ndarray) -> np.ndarray:
            # As single channels of floats, for which OpenCV takes the same nearest pixel as for labels and depth. Ids
            # up to 2^24 stay whole.
            levels = np.split(regions.astype(np.float32), regions.shape[2], axis=2)
            return np.dstack([warp(level, True, -1) for level in levels]).astype(np.int32)

        return replace(
            sample,
            image=warp_image(sample.image),
            labels=None if sample.labels is None else warp(sample.labels, True, IGNORE_INDEX),
            depth=None if sample.depth is None else warp(sample.depth, True, 0),
            regions=None if sample.regions is None else warp_regions(sample.regions),
            neighbours=tuple(self._warp(neighbour, matrix) for neighbour in sample.neighbours),
        )


@dataclass(frozen=True)
class Resize:
    """Resize to (height, width); labels, depth and regions are taken from the nearest pixel."""

    size: tuple[int, int]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if sample.image.shape[:2] == self.size and not sample.neighbours:
            return sample
        smaller = self.size[0] * self.size[1] < sample.image.shape[0] * sample.image.shape[1]

        def resize(array: np.ndarray, interpolation: int) -> np.ndarray:
            # OpenCV resizes at most four channels at once by area, and drops an axis of one channel.
            flat = array.reshape(*array.shape[:2], -1)
            parts = [
                cv2.resize(flat[..., c : c + 4], (self.size[1], self.size[0]), interpolation=interpolation)
                for c in range(0, flat.shape[2], 4)
            ]
            joined = np.concatenate([part.reshape(*self.size, -1) for part in parts], axis=2)
            return joined.reshape(*self.size, *array.shape[2:])

        return replace(
            sample,
            image=resize(sample.image, cv2.INTER_AREA if smaller else cv2.INTER_LINEAR),
            labels=None if sample.labels is None else resize(sample.labels, cv2.INTER_NEAREST_EXACT),
            depth=None if sample.depth is None else resize(sample.depth, cv2.INTER_NEAREST_EXACT),
            regions=None if sample.regions is None else resize(sample.regions, cv2.INTER_NEAREST_EXACT),
            neighbours=tuple(self(neighbour, rng) for neighbour in sample.neighbours),
        )


@dataclass(frozen=True)
class RandomViews:
    """Keep ``views - 1`` of the neighbours, drawn without replacement, in temporal order; all where there are fewer.

    The others are never read. Put this before transforms that move pixels.
    """

    views: int

    def __post_init__(self) -> None:
        if self.views < 1:
            raise InputError(f"views: {self.views} given; 1 is the labelled picture alone")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        there = len(sample.neighbours)
        drawn = np.sort(rng.choice(there, min(self.views - 1, there), replace=False))
        return replace(sample, neighbours=tuple(sample.neighbours[int(place)] for place in drawn))


@dataclass(frozen=True)
class ColorJitter:
    """Random brightness, contrast and saturation, each by a factor from [1 - x, 1 + x], and a random turn of the hue.

    brightness, contrast, saturation: the largest relative change. hue: the largest turn in degrees. One draw
    serves the image and all its neighbours. Channels after the third (HHA, infrared) stay as they are, images
    of one or two channels get brightness and contrast only.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 10.0

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        factors = 1 + rng.uniform(-1, 1, 3) * (self.brightness, self.contrast, self.saturation)
        turn = float(rng.uniform(-self.hue, self.hue))
        return self._apply(sample, factors, turn)

    def _apply(self, sample: Sample, factors: np.ndarray, turn: float) -> Sample:
        image = sample.image
        color = image[..., :3] if image.shape[2] >= 3 else image
        top = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
        matrix, offset = _color_matrix(color, factors, turn)
        mixed = cv2.transform(color, np.column_stack([matrix, offset]).astype(np.float32))
        mixed = mixed.reshape(color.shape)
        if image.dtype.kind != "u":
            mixed = np.clip(mixed, 0.0, top)
        return replace(
            sample,
            image=np.concatenate([mixed, image[..., 3:]], axis=2) if image.shape[2] > 3 else mixed,
            neighbours=tuple(self._apply(neighbour, factors, turn) for neighbour in sample.neighbours),
        )


def _color_matrix(image: np.ndarray, factors: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """All four changes as one affine map of the colour: result = matrix @ colour + offset."""
    brightness, contrast, saturation = factors
    channels = image.shape[2]
    mean = np.array(cv2.mean(image)[:channels])
    matrix = np.eye(channels)
    grey_mean = mean.mean()
    if channels == 3:
        grey = np.repeat(_GREY_WEIGHTS, 3, axis=0)
        saturate = saturation * np.eye(3) + (1 - saturation) * grey
        matrix = _hue_rotation(turn) @ saturate
        grey_mean = float((_GREY_WEIGHTS @ mean).item())
    gain = brightness * contrast
    return gain * matrix, np.full(channels, brightness * (1 - contrast) * grey_mean)


def _hue_rotation(degrees: float) -> np.ndarray:
    """Rotation of RGB space about its grey axis, so that greys stay as they are (Rodrigues' formula)."""
    angle = np.deg2rad(degrees)
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    return np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
