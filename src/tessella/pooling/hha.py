"""Depth as three channels that a colour network can read: disparity, height and angle (Gupta et al., ECCV 2014)."""

import cv2
import numpy as np

from tessella.errors import InputError

ANGLE_RADIUS, GRAVITY_RADIUS = 3, 10
"""Pixels from the centre to the edge of the window of a normal: for the angle, and for finding gravity."""


FARTHEST = 40.0
"""Metres that half of a picture may be away: rooms, halls and streets are nearer, and of centimetres more."""


def hha(depth: np.ndarray, intrinsics: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
    """Horizontal disparity, height above ground and angle with gravity, as an image [H, W, 3] uint8.

    depth: [H, W] in metres; holes are filled, or 0, where the result is 0 too.
    intrinsics: [3, 3], focal lengths and principal point in pixels counted from 0.
    missing: [H, W], true where the sensor measured nothing and ``depth`` was filled in: normals leave these out.

    Disparity is 31000 / cm, nothing being nearer than one metre; height is in cm above the lowest point, or above a
    floor 130 cm below a camera that sees nothing lower than 90 cm; the angle is in degrees plus 38. Cameras look
    along z, y pointing down.

    Raises InputError where depth is not [H, W], misses altogether, or has a median over FARTHEST, as that of other
    units than metres; and where the intrinsics are not [3, 3] with positive focal lengths.
    """
    depth = np.asarray(depth, np.float64)
    intrinsics = _camera(intrinsics)
    holes = ~np.isfinite(depth) | (depth <= 0)
    _require_depth(depth, holes, missing)
    measured = ~holes if missing is None else ~holes & ~missing.astype(bool)
    points = _points(np.where(holes, 1, depth), intrinsics)
    gravity = gravity_direction(normals(points, measured, GRAVITY_RADIUS))

    disparity = 310 / np.maximum(points[..., 2], 1)
    height = -100 * (points @ gravity)
    lowest = height[~holes].min()
    height -= lowest if lowest <= -90 else -130
    cosine = normals(points, measured, ANGLE_RADIUS) @ gravity
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))) + 38
    channels = np.nan_to_num(np.stack([disparity, height, angle], axis=2))
    channels[holes] = 0
    return np.clip(np.floor(channels + 0.5), 0, 255).astype(np.uint8)


def normals(points: np.ndarray, measured: np.ndarray, radius: int) -> np.ndarray:
    """Unit normals [H, W, 3] of the planes fitted to square windows of points [H, W, 3]; NaN where there are too few.

    A plane is where inverse depth is linear in the image: that is fitted by least squares to the measured points
    within ``radius`` pixels along each axis. Normals point away from the camera, as its rays do.
    """
    mask = measured.astype(np.float64)
    z = points[..., 2]
    u, v, inverse = points[..., 0] / z, points[..., 1] / z, mask / z

    def total(values: np.ndarray) -> np.ndarray:
        size = (2 * radius + 1, 2 * radius + 1)
        return cv2.boxFilter(values, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)

    # About the window's own middle, so that nothing large cancels in what follows.
    count = total(mask)
    enough = np.maximum(count, 1)
    u_mean, v_mean, mean = total(mask * u) / enough, total(mask * v) / enough, total(inverse) / enough
    uu = total(mask * u * u) / enough - u_mean**2
    uv = total(mask * u * v) / enough - u_mean * v_mean
    vv = total(mask * v * v) / enough - v_mean**2
    u_inverse = total(inverse * u) / enough - u_mean * mean
    v_inverse = total(inverse * v) / enough - v_mean * mean
    determinant = uu * vv - uv**2
    pixel = np.ptp(u) / max(u.shape[1] - 1, 1) * np.ptp(v) / max(v.shape[0] - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (vv * u_inverse - uv * v_inverse) / determinant
        b = (uu * v_inverse - uv * u_inverse) / determinant
        normal = np.stack([a, b, mean - a * u_mean - b * v_mean], axis=2)
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    # Through points on a line there is no plane; three neighbours off it have 1 / 27 of this.
    normal[determinant <= 0.01 * pixel**2] = np.nan
    return normal


def gravity_direction(normals: np.ndarray) -> np.ndarray:
    """The direction [3] that most floors and walls agree is down, beginning with the camera's own (ibid., section 3).

    Floors, nearly along gravity, should be as much so as they can be, and walls as little.
    """
    known = normals[np.isfinite(normals).all(2)]
    gravity = np.array([0.0, 1.0, 0.0])
    for tolerance in (45.0,) * 5 + (15.0,) * 5:
        cosine = np.abs(known @ gravity)
        floor = known[cosine > np.cos(np.radians(tolerance))]
        wall = known[cosine < np.sin(np.radians(tolerance))]
        _, vectors = np.linalg.eigh(wall.T @ wall - floor.T @ floor)
        smallest = vectors[:, 0]
        if len(floor) + len(wall):
            gravity = smallest if smallest @ gravity >= 0 else -smallest
    return gravity


def _points(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points [H, W, 3] in metres, in the camera's coordinates."""
    rows, columns = np.indices(depth.shape)
    x = (columns - intrinsics[0, 2]) / intrinsics[0, 0] * depth
    y = (rows - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    return np.stack([x, y, depth], axis=2)


def _require_depth(depth: np.ndarray, holes: np.ndarray, missing: np.ndarray | None) -> None:
    if depth.ndim != 2:
        raise InputError(f"depth of shape {list(depth.shape)}: give one value in metres per pixel, [H, W]")
    if missing is not None and missing.shape != depth.shape:
        raise InputError(f"depth is {list(depth.shape)}, missing {list(missing.shape)}: give the same size")
    if holes.all():
        raise InputError("depth is missing everywhere: HHA needs some")
    typical = float(np.median(depth[~holes]))
    if not 0.05 < typical < FARTHEST:
        raise InputError(
            f"depth has a median of {typical:g}: give metres, of scenes nearer than {FARTHEST:g}"
        )


def _camera(intrinsics: np.ndarray) -> np.ndarray:
    camera = np.asarray(intrinsics, np.float64)
    if camera.shape != (3, 3) or not np.isfinite(camera).all() or min(camera[0, 0], camera[1, 1]) <= 0:
        raise InputError(
            f"intrinsics {camera.tolist()}: give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], fx and fy in pixels above 0"
        )
    return camera
