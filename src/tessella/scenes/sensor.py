"""What real sensors add: optics, colour noise and quantisation, and the errors and holes of depth sensors."""

import cv2
import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.textures import noise_picture

KINECT_SCALE = 351.3
"""Kinect's disparity is ``KINECT_OFFSET - KINECT_SCALE / metres`` (the constants of NYUDv2's toolbox)."""
KINECT_OFFSET = 1092.5
KINECT_MISSING = 2047
STEREO_BASELINE = 0.209313
"""Distance of the two cameras of Cityscapes in metres."""


def develop(
    radiance: np.ndarray, exposure: float, white_balance: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """An 8-bit picture of linear radiance [H, W, 3]: lens blur, vignetting, noise, tone curve."""
    height, width = radiance.shape[:2]
    y, x = (
        np.linspace(-1, 1, height, dtype=np.float32)[:, None],
        np.linspace(-1, 1, width, dtype=np.float32)[None],
    )
    gain = np.float32(exposure) * (1 - 0.12 * (x * x + y * y))
    light = cv2.GaussianBlur(radiance, (0, 0), 0.5) * (gain[..., None] * white_balance.astype(np.float32))
    deviation = np.float32(noise) * np.sqrt(np.maximum(light, 0) * 0.6 + 0.01)
    light += deviation * rng.standard_normal(light.shape, np.float32)
    light = np.maximum(light, 0)
    light /= 1 + 0.25 * light
    return np.round(np.minimum(np.sqrt(light), 1) * 255).astype(np.uint8)


def kinect(
    depth: np.ndarray, normals: np.ndarray, dark: np.ndarray, camera: Camera, rng: np.random.Generator
) -> np.ndarray:
    """Depth [H, W] float32 in metres as a Kinect reports it; 0 where it reports nothing.

    The disparity of a laterally shaken pixel plus noise is rounded to whole steps, following Barron and
    Malik, "Intrinsic Scene Properties from a Single RGB-D Image" (CVPR 2013). Holes: out of range, in the
    shadow of the projector 7.5 cm beside the camera, at grazing angles, in patches of ``dark`` surfaces.
    """
    height, width = depth.shape
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    shake = rng.standard_normal((2, height, width), np.float32) * 0.4
    shaken = cv2.remap(
        depth, column + shake[0], row + shake[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    disparity = KINECT_OFFSET - KINECT_SCALE / np.maximum(shaken, 0.2)
    steps = np.round(disparity + rng.standard_normal(depth.shape, np.float32) * 0.35)
    steps = np.clip(steps, 0, np.floor(KINECT_OFFSET))

    hidden = _hidden_from(depth, camera, 0.075)
    rays = camera.rays
    facing = np.abs(np.einsum("hwi,hwi->hw", normals, rays)) / np.linalg.norm(rays, axis=2)
    patches = _patches(depth.shape, rng)
    lost = (
        (depth < 0.45) | (depth > 9.5) | hidden | (facing < 0.14 + 0.06 * patches) | (dark & (patches > -0.2))
    )
    metres = KINECT_SCALE / (KINECT_OFFSET - steps)
    return np.where(lost | (metres > 10), 0, metres).astype(np.float32)


def kinect_steps(depth: np.ndarray) -> np.ndarray:
    """The whole disparity steps [H, W] uint16 that ``kinect`` depth stands for, 2047 where it is missing."""
    steps = np.round(KINECT_OFFSET - KINECT_SCALE / np.where(depth > 0, depth, 1))
    return np.where(depth > 0, steps, KINECT_MISSING).astype(np.uint16)


def stereo(depth: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Depth [H, W] in metres as stereo matching finds it; 0 for the sky and what the right camera misses.

    Errors are of about a quarter of a pixel of a camera four times as wide, constant over patches, and the
    disparity is rounded to 1/256 pixel, the step of Cityscapes' files.
    """
    disparity = disparity_of(depth, camera)
    error = 0.6 * _patches(depth.shape, rng) + 0.4 * rng.standard_normal(depth.shape, np.float32)
    noisy = np.round((disparity + error * (0.06 * camera.width / 320)) * 256) / 256
    lost = (depth <= 0) | (noisy < 1 / 256) | _hidden_from(depth, camera, STEREO_BASELINE)
    lost |= _patches(depth.shape, rng) > 2.4
    scale = np.float32(camera.intrinsics[0, 0] * STEREO_BASELINE)
    return np.where(lost, 0, scale / np.maximum(noisy, 1 / 256)).astype(np.float32)


def disparity_of(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Disparity in pixels of Cityscapes' stereo cameras, 0 where there is no depth."""
    scale = np.float32(camera.intrinsics[0, 0] * STEREO_BASELINE)
    return np.where(depth > 0, scale / np.where(depth > 0, depth, 1), 0).astype(np.float32)


def _hidden_from(depth: np.ndarray, camera: Camera, baseline: float) -> np.ndarray:
    """Pixels that a device ``baseline`` metres to the right does not see for something nearer before them."""
    inverse = np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0)
    seen_at = np.arange(depth.shape[1]) - np.float32(camera.intrinsics[0, 0] * baseline) * inverse
    first_to_right = np.minimum.accumulate(seen_at[:, ::-1], axis=1)[:, ::-1]
    return seen_at > first_to_right + 0.8


def _patches(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise [H, W] of deviation about 1."""
    left, top = rng.integers(0, 256, 2)
    picture = np.roll(noise_picture(), (left, top), (0, 1))
    return np.tile(picture, (-(-size[0] // 256), -(-size[1] // 256)))[: size[0], : size[1]]
