import cv2
import numpy as np
import pytest

from tessella.datasets.kinect import COLOR_CAMERA, camera_matrix, depth_from_color_camera, undistort_color
from tessella.scenes.camera import Camera, intrinsics
from tessella.scenes.kinect_raw import raw_color, raw_depth
from tessella.scenes.sensor import STEREO_BASELINE, develop, kinect, kinect_steps, stereo


@pytest.fixture
def camera():
    return Camera(intrinsics(260, 120, 160), np.eye(4), 120, 160)


def _wall(depth):
    return np.full((120, 160), depth, np.float32), np.tile(np.float32([0, 0, -1]), (120, 160, 1))


def _measure(depth, camera, seed=0):
    flat, normals = _wall(depth) if np.isscalar(depth) else (depth, _wall(1)[1])
    return kinect(flat, normals, np.zeros(flat.shape, bool), camera, np.random.default_rng(seed))


def test_kinect_depth_is_whole_disparity_steps(camera):
    measured = _measure(3.0, camera)
    steps = kinect_steps(measured)
    valid = measured > 0
    assert valid.mean() > 0.95
    again = 351.3 / (1092.5 - steps[valid].astype(float))
    assert np.allclose(again, measured[valid], rtol=1e-6)
    assert (steps[~valid] == 2047).all()


def test_kinect_error_grows_with_the_square_of_depth(camera):
    error = {depth: _measure(depth, camera)[_measure(depth, camera) > 0].std() for depth in (2.0, 4.0)}
    assert 3 < error[4.0] / error[2.0] < 5.5
    assert 0.003 < error[2.0] < 0.02


def test_kinect_sees_nothing_out_of_range(camera):
    assert not _measure(0.3, camera).any()
    assert not _measure(12.0, camera).any()


def test_kinect_casts_a_shadow_beside_near_things(camera):
    depth, _ = _wall(4.0)
    depth[40:80, 60:100] = 1.0
    measured = _measure(depth, camera)
    shadow = round(260 * 0.075 * (1 / 1 - 1 / 4))
    row = measured[60]
    assert (row[60 - shadow + 3 : 58] == 0).all()
    assert (row[: 60 - shadow - 4] > 0).mean() > 0.95
    assert (row[64:96] > 0).mean() > 0.95


def test_stereo_error_is_small_in_disparity(camera):
    depth, _ = _wall(20.0)
    measured = stereo(depth, camera, np.random.default_rng(0))
    valid = measured > 0
    assert 0.8 < valid.mean() < 1
    scale = 260 * STEREO_BASELINE
    error = scale / measured[valid] - scale / 20
    assert 0.005 < np.abs(error).mean() < 0.1
    assert not stereo(np.zeros_like(depth), camera, np.random.default_rng(0)).any()


def test_develop_is_brighter_with_exposure_and_noisier_with_noise():
    light = np.full((60, 80, 3), 0.2, np.float32)

    def picture(exposure, noise):
        return develop(light, exposure, np.ones(3), noise, np.random.default_rng(0)).astype(float)

    assert picture(2, 0.01).mean() > picture(1, 0.01).mean() + 20
    assert picture(1, 0.1).std() > 3 * picture(1, 0.01).std()


def test_readers_of_raw_frames_recover_the_picture():
    y, x = np.mgrid[:480, :640]
    image = np.stack([x / 640, y / 480, (x + y) / 1120], axis=2)
    image = (255 * image).astype(np.uint8)
    recovered = undistort_color(raw_color(image))
    inner = np.s_[40:-40, 40:-40]
    assert np.abs(recovered[inner].astype(int) - image[inner]).max() <= 3


def test_readers_of_raw_frames_recover_depth():
    depth = np.full((480, 640), 3.0, np.float32)
    depth[150:330, 200:440] = 1.5
    recovered = depth_from_color_camera(raw_depth(depth))
    inner = np.s_[60:-60, 60:-60]
    valid = recovered[inner] > 0
    assert valid.mean() > 0.75
    close = np.abs(recovered[inner] - depth[inner])[valid] < 0.03
    assert close.mean() > 0.95


def test_scaled_cameras_see_the_same():
    point = np.array([0.3, -0.2, 1.0])
    full, half = (camera_matrix(COLOR_CAMERA, height, 4 * height // 3) @ point for height in (480, 240))
    assert np.allclose((full[:2] + 0.5) / 2, half[:2] + 0.5)
    assert cv2.norm(camera_matrix(COLOR_CAMERA, 480, 640), COLOR_CAMERA) == 0
