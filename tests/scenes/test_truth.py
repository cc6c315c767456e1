"""The truth of a video agrees with its pictures and with itself."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from tessella.scenes import STREET, sensor, sequence


def _grid(height, width):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def _warp(picture, flow, interpolation=cv2.INTER_LINEAR):
    place = _grid(*flow.shape[:2]) + flow
    return cv2.remap(picture, place[..., 0], place[..., 1], interpolation)


def _points(frame):
    """World points [H, W, 3] from depth, intrinsics and pose alone."""
    pixels = np.concatenate([_grid(*frame.depth.shape), np.ones((*frame.depth.shape, 1))], axis=2)
    seen = pixels @ np.linalg.inv(frame.intrinsics).T * frame.depth[..., None]
    return seen @ frame.pose[:3, :3].T + frame.pose[:3, 3]


def _pairs(video):
    for now, after in pairwise(video):
        yield now, after, now.flow_forward, now.visible_forward
        yield after, now, after.flow_backward, after.visible_backward


@pytest.mark.parametrize("kind", ["street", "room"])
def test_flow_warps_the_other_image_onto_this_one(kind, monkeypatch):
    developed = sensor.develop
    monkeypatch.setattr(
        sensor, "develop", lambda light, gain, white, noise, rng: developed(light, gain, white, 0.0, rng)
    )
    for here, there, flow, visible in _pairs(list(sequence(kind, 7, frames=3, height=120, width=160))):
        assert visible.mean() > 0.5
        warped, unmoved = (
            np.abs(picture.astype(float) - here.image)[visible]
            for picture in (_warp(there.image, flow), there.image)
        )
        # Without noise, resampling alone remains.
        assert np.median(warped) <= 2
        assert warped.mean() < 0.8 * unmoved.mean()


def test_flow_warps_labels_and_instances(video):
    for here, there, flow, visible in _pairs(video):
        for name in ("labels", "instances"):
            warped = _warp(getattr(there, name), flow, cv2.INTER_NEAREST)
            assert (warped == getattr(here, name))[visible].mean() > 0.995


def test_depth_and_pose_agree_with_the_next_frame(video):
    static = ~np.isin(np.arange(256), [*range(STREET["person"], 34)])
    for here, there, flow, visible in _pairs(video):
        still = visible & (here.depth > 0) & static[here.labels]
        seen = (_points(here) - there.pose[:3, 3]) @ there.pose[:3, :3]
        pixels = seen @ there.intrinsics.T
        place = pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-6)
        error = np.abs(place - _grid(*here.depth.shape) - flow).max(axis=2)[still]
        assert (error < 0.01).mean() > 0.99
        inverse = np.where(there.depth > 0, 1 / np.maximum(there.depth, 1e-6), 0).astype(np.float32)
        warped = _warp(inverse, flow)[still]
        assert np.all(np.abs(warped * seen[..., 2][still] - 1) < 0.03)


def test_moving_things_have_flow_of_their_own(street_video):
    here, there = street_video[0], street_video[1]
    seen = (_points(here) - there.pose[:3, 3]) @ there.pose[:3, :3] @ there.intrinsics.T
    camera_flow = seen[..., :2] / np.maximum(seen[..., 2:], 1e-6) - _grid(*here.depth.shape)
    moves = np.abs(camera_flow - here.flow_forward).max(axis=2) > 0.05
    moves &= here.visible_forward & (here.depth > 0)
    assert moves.any()
    assert (here.labels[moves] >= STREET["person"]).all()


def test_flow_forward_and_backward_cancel(video):
    here, there = video[0], video[1]
    back = _warp(there.flow_backward, here.flow_forward)
    both = here.visible_forward & (
        _warp(there.visible_backward.astype(np.float32), here.flow_forward) > 0.999
    )
    error = np.abs(back + here.flow_forward).max(axis=2)[both]
    assert np.quantile(error, 0.98) < 0.1


def test_ends_of_a_video_see_nothing_beyond(video):
    assert not video[0].visible_backward.any()
    assert not video[0].flow_backward.any()
    assert not video[-1].visible_forward.any()
    assert not video[-1].flow_forward.any()


def test_what_is_hidden_is_not_visible(video):
    """A point that falls behind a nearer surface of the other frame is not visible."""
    for here, there, flow, visible in _pairs(video):
        nearest = _warp(there.depth, flow, cv2.INTER_NEAREST)
        hidden = (nearest > 0) & (here.depth > 0) & (nearest < 0.7 * here.depth)
        assert not (visible & hidden & (np.abs(flow).max(axis=2) < 2)).any()


def test_normals_are_the_gradients_of_depth(video):
    frame = video[1]
    rays = np.concatenate([_grid(*frame.depth.shape), np.ones((*frame.depth.shape, 1))], axis=2)
    points = rays @ np.linalg.inv(frame.intrinsics).T * frame.depth[..., None]
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    slope = np.cross(down, across)
    slope /= np.linalg.norm(slope, axis=2, keepdims=True) + 1e-12
    one = frame.instances[1:-1, 1:-1]
    same = one > 0
    for part in (
        frame.instances[1:-1, 2:],
        frame.instances[1:-1, :-2],
        frame.instances[2:, 1:-1],
        frame.instances[:-2, 1:-1],
    ):
        same &= part == one
    # Inside one object depth may still jump or fold: smooth is where both one-sided differences agree.
    depth = frame.depth
    bend = np.abs(depth[1:-1, 2:] + depth[1:-1, :-2] - 2 * depth[1:-1, 1:-1])
    bend += np.abs(depth[2:, 1:-1] + depth[:-2, 1:-1] - 2 * depth[1:-1, 1:-1])
    smooth = same & (bend < 0.01 * depth[1:-1, 1:-1])
    assert smooth.mean() > 0.3
    cosine = (slope * frame.normals[1:-1, 1:-1]).sum(axis=2)[smooth]
    assert (cosine > 0.99).mean() > 0.97


def test_normals_are_unit_and_face_the_camera(video):
    frame = video[0]
    seen = frame.depth > 0
    assert np.allclose(np.linalg.norm(frame.normals[seen], axis=1), 1, atol=1e-4)
    assert not frame.normals[~seen].any()
    rays = np.concatenate([_grid(*frame.depth.shape), np.ones((*frame.depth.shape, 1))], axis=2)
    toward = (rays @ np.linalg.inv(frame.intrinsics).T * frame.normals).sum(axis=2)
    assert (toward[seen] < 1e-3).all()


def test_the_sky_alone_has_no_depth(street_video):
    for frame in street_video:
        assert np.array_equal(frame.labels == STREET["sky"], frame.depth == 0)
        assert np.array_equal(frame.instances == 0, frame.depth == 0)


def test_rooms_are_closed_and_labelled_everywhere():
    frame = next(sequence("room", 11, 1, height=120, width=160))
    assert (frame.depth > 0).all()
    assert (frame.labels > 0).all()
