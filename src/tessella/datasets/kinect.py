"""Raw frames of NYUDv2's Kinect: colour without lens distortion, depth in metres seen from the colour camera.

Calibration and depth formula are those of the NYUDv2 toolbox (Silberman et al., ECCV 2012).
"""

import cv2
import numpy as np

from tessella.datasets.file_dataset import FileDataset, Record

COLOR_CAMERA = np.array(
    [[518.85790117450188, 0, 325.58244941119034], [0, 519.46961112127485, 253.73616633400465], [0, 0, 1]]
)
DEPTH_CAMERA = np.array(
    [[582.62448167737955, 0, 313.04475870804731], [0, 582.69103270988637, 238.44389626620386], [0, 0, 1]]
)
COLOR_DISTORTION = np.array(
    [
        0.20796615318809061,
        -0.58613825163911781,
        7.2231363135888329e-04,
        1.0479627195765181e-03,
        0.49856986684705107,
    ]
)
DEPTH_DISTORTION = np.array(
    [
        -0.099897236553084481,
        0.39065324602765344,
        1.9290592870229277e-03,
        -1.9422022475975055e-03,
        -0.51031725053400578,
    ]
)

ROTATION = np.array(
    [
        [0.99997798940829263, 0.0050518419386157446, 0.0043011152014118693],
        [-0.0050359919480810989, 0.99998051861143999, -0.0036879781309514218],
        [-0.0043196624923060242, 0.0036662365748484798, 0.99998394948385538],
    ]
).T
TRANSLATION = -np.array([0.025031875059141302, -0.00029342312935846411, 0.00066238747008330102])
"""A point p in metres before the depth camera is ROTATION @ p + TRANSLATION before the colour camera."""

NO_MEASUREMENT = 2047
MAX_DEPTH = 10.0


def camera_matrix(camera: np.ndarray, height: int, width: int) -> np.ndarray:
    """A camera matrix for 480 x 640 pixels, scaled to another width and centred in another height."""
    scale = width / 640
    matrix = camera * np.array([[scale], [scale], [1.0]])
    matrix[:2, 2] += (scale - 1) / 2
    matrix[1, 2] += (height - 480 * scale) / 2
    return matrix


class KinectFiles(FileDataset):
    """A layout whose pictures are those of NYUDv2's colour camera."""

    def camera(self, record: Record, height: int, width: int) -> np.ndarray:
        return camera_matrix(COLOR_CAMERA, height, width)


def undistort_color(image: np.ndarray) -> np.ndarray:
    """Raw colour frame [H, W, 3] without lens distortion, as the labelled images are."""
    return cv2.undistort(image, camera_matrix(COLOR_CAMERA, *image.shape[:2]), COLOR_DISTORTION)


def depth_from_color_camera(disparity: np.ndarray) -> np.ndarray:
    """Raw 11 bit disparities [H, W] to depth [H, W] float32 in metres at the colour frame's pixels.

    Depth is 351.3 / (1092.5 - disparity), at most 10 m; 0 where nothing was measured or nothing projects to.
    """
    height, width = disparity.shape
    depth_camera = camera_matrix(DEPTH_CAMERA, height, width)
    unknown = (disparity >= NO_MEASUREMENT).astype(np.float32)
    missing = cv2.undistort(unknown, depth_camera, DEPTH_DISTORTION) > 0
    straight = cv2.undistort(disparity.astype(np.float32), depth_camera, DEPTH_DISTORTION)
    measured = ~missing & (straight >= 600) & (straight < 1092.5 - 351.3 / MAX_DEPTH)
    rows, columns = np.nonzero(measured)
    depth = 351.3 / (1092.5 - straight[measured].astype(np.float64))
    rays = np.linalg.inv(depth_camera) @ np.stack([columns, rows, np.ones_like(rows)])
    projected = camera_matrix(COLOR_CAMERA, height, width) @ (
        ROTATION @ (rays * depth) + TRANSLATION[:, None]
    )
    column, row = np.rint(projected[:2] / projected[2]).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    far_to_near = np.flatnonzero(inside)[np.argsort(-depth[inside], kind="stable")]
    seen = np.zeros((height, width), np.float32)
    seen[row[far_to_near], column[far_to_near]] = depth[far_to_near]  # where two meet, the nearer one stays
    return seen
