"""HHA on planes whose normals and heights are known, and on the authors' own files."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tessella.errors import InputError
from tessella.pooling.hha import gravity_direction, hha, normals

CAMERA = np.array([[120.0, 0, 79.5], [0, 120.0, 59.5], [0, 0, 1]])
SHAPE = (120, 160)


def plane(normal, distance):
    """Depth of the plane normal . point = distance."""
    rows, columns = np.indices(SHAPE)
    rays = np.stack(
        [(columns - CAMERA[0, 2]) / CAMERA[0, 0], (rows - CAMERA[1, 2]) / CAMERA[1, 1], np.ones(SHAPE)],
        axis=2,
    )
    return distance / (rays @ np.asarray(normal, float))


def points_of(depth):
    rows, columns = np.indices(SHAPE)
    x, y = (columns - CAMERA[0, 2]) / CAMERA[0, 0], (rows - CAMERA[1, 2]) / CAMERA[1, 1]
    return np.stack([x * depth, y * depth, depth], axis=2)


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.6, 0, 0.8), (0.1, 0.7, 0.7)])
def test_normals_of_a_plane(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    found = normals(points_of(plane(normal, 2.0)), np.ones(SHAPE, bool), 3)
    np.testing.assert_allclose(found, np.broadcast_to(normal, (*SHAPE, 3)), atol=1e-6)


def test_normals_leave_out_what_was_not_measured():
    depth = plane((0.6, 0, 0.8), 2.0)
    measured = np.ones(SHAPE, bool)
    measured[40:60, 50:90] = False
    depth[~measured] = 9
    found = normals(points_of(depth), measured, 3)
    known = np.isfinite(found).all(2)
    np.testing.assert_allclose(found[known], np.broadcast_to((0.6, 0, 0.8), (known.sum(), 3)), atol=1e-6)
    assert not known[50, 70]
    assert known[41, 51]


def test_room_of_floor_and_wall():
    """A camera 120 cm above the floor, 3 m before a wall, pitched by ten degrees."""
    pitch = np.radians(10)
    down = np.array([0, np.cos(pitch), np.sin(pitch)])
    ahead = np.array([0, -np.sin(pitch), np.cos(pitch)])
    floor, wall = plane(down, 1.2), plane(ahead, 3.0)
    depth = np.where((floor > 0) & (floor < wall), floor, wall)
    on_floor = depth == floor
    found = hha(depth, CAMERA)
    inner = cv2.erode(on_floor.astype(np.uint8), np.ones((9, 9))) > 0
    outer = cv2.erode((~on_floor).astype(np.uint8), np.ones((9, 9))) > 0
    assert (found[inner, 1] <= 1).all()  # the floor is the lowest
    np.testing.assert_allclose(found[inner, 2], 38, atol=1)
    np.testing.assert_allclose(found[outer, 2], 128, atol=1)
    np.testing.assert_allclose(found[..., 0], np.clip(310 / np.maximum(depth, 1), 0, 255), atol=0.51)
    heights = 100 * (1.2 - points_of(depth) @ down)
    np.testing.assert_allclose(found[outer, 1], np.clip(heights[outer], 0, 255), atol=2)


def test_gravity_turns_to_the_floor():
    down = np.array([0.1, 0.95, 0.2]) / np.linalg.norm([0.1, 0.95, 0.2])
    side = np.cross(down, (1, 0, 0)) / np.linalg.norm(np.cross(down, (1, 0, 0)))
    planes = np.repeat([down, side, np.cross(down, side)], 100, axis=0)[None]
    np.testing.assert_allclose(gravity_direction(planes), down, atol=1e-8)


def test_holes_are_zero():
    depth = plane((0, 0, 1), 2.0)
    depth[10:20, 10:20] = 0
    depth[30, 30] = np.nan
    found = hha(depth, CAMERA)
    assert not found[10:20, 10:20].any()
    assert not found[30, 30].any()
    assert found[50, 50].all()


@pytest.mark.parametrize(
    ("depth", "missing", "message"),
    [
        (np.ones((4, 5, 3)), None, r"depth of shape \[4, 5, 3\]"),
        (np.ones((4, 5)), np.zeros((5, 4), bool), r"depth is \[4, 5\], missing \[5, 4\]"),
        (np.zeros((4, 5)), None, "missing everywhere"),
        (np.full((4, 5), 2500.0), None, "median of 2500: give metres, of scenes nearer than 40"),
        (np.full((4, 5), 170.0), None, "median of 170: give metres"),
        (np.full((4, 5), 0.002), None, "median of 0.002: give metres"),
    ],
)
def test_bad_depth(depth, missing, message):
    with pytest.raises(InputError, match=message):
        hha(depth, CAMERA, missing)


@pytest.mark.parametrize(
    "camera",
    [
        np.diag([0.0, 120, 1]),
        np.diag([120.0, -120, 1]),
        np.full((3, 3), np.nan),
        np.ones(3),
        [[120.0, 0, 79.5]],
    ],
)
def test_bad_cameras(camera):
    with pytest.raises(InputError, match=r"intrinsics .* give \[\[fx, 0, cx\]"):
        hha(np.ones((4, 5)), camera)


def test_a_camera_as_a_list():
    depth = plane((0, 0, 1), 2.0)
    assert (hha(depth, CAMERA.tolist()) == hha(depth, CAMERA)).all()


@pytest.mark.realdata
@pytest.mark.parametrize(("frame", "heights", "angles"), [("01930", 0.99, 0.78), ("02230", 0.94, 0.67)])
def test_authors_files(frame, heights, angles):
    """Their raw depth is not published: normals, and so gravity, differ where the sensor saw nothing."""
    if "TESSELLA_DATA" not in os.environ:
        pytest.skip("set TESSELLA_DATA to the folder that holds nyudv2_dining_room_0036")
    folder = Path(os.environ["TESSELLA_DATA"]) / "nyudv2_dining_room_0036"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    depth = cv2.imread(str(folder / f"{frame}_depth_filled.png"), cv2.IMREAD_UNCHANGED) * (10 / 65535)
    theirs = cv2.imread(str(folder / f"{frame}_hha.png"), cv2.IMREAD_COLOR_RGB)
    camera = np.array([[582.624, 0, 312.045], [0, 582.691, 237.444], [0, 0, 1]])
    difference = np.abs(hha(depth, camera).astype(int) - theirs)[45:470, 40:600]
    assert (difference[..., 0] == 0).all()
    assert (difference[..., 1] <= 2).mean() > heights
    assert (difference[..., 2] <= 2).mean() > angles
