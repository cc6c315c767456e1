"""The raster agrees with a naive ray caster that knows nothing of screens."""

import numpy as np
import pytest

from tessella.scenes.camera import Camera, intrinsics, look, stand
from tessella.scenes.raster import cast
from tessella.scenes.shapes import Scene, Surface

PLAIN = Surface(label=1, texture="plain")


def _nearest_naively(camera, shapes):
    """Depth and shape for every ray, one shape at a time, in world coordinates."""
    start, rays = camera.pose[:3, 3], camera.rays.astype(float)
    best, owner = np.full(rays.shape[:2], np.inf), np.full(rays.shape[:2], len(shapes.label))
    for index in range(len(shapes.origin)):
        right, up = shapes.right[index], shapes.up[index]
        normal, (width, height, left, slant) = np.cross(right, up), shapes.extent[index]
        toward = rays @ normal
        if not shapes.two_sided[index] and (shapes.origin[index] - start) @ normal >= 0:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = ((shapes.origin[index] - start) @ normal) / toward
            point = start + depth[..., None] * rays - shapes.origin[index]
            s, t = point @ right, point @ up
            hit = (depth > 0) & (t >= 0) & (t <= height) & (s >= left * t) & (s <= width - slant * t)
        best, owner = (
            np.where(hit & (depth < best), depth, best),
            np.where(hit & (depth < best), index, owner),
        )
    for index in range(len(shapes.centre)):
        inward = np.linalg.inv(shapes.axes[index])
        o, d = inward @ (start - shapes.centre[index]), rays @ inward.T
        mask = np.array([1, 1, 0 if shapes.is_cylinder[index] else 1])
        a, b, c = (d * d * mask).sum(-1), (d * o * mask).sum(-1), (o * o * mask).sum() - 1
        root = b * b - a * c
        depth = (-b - np.sqrt(np.maximum(root, 0))) / a
        hit = (root > 0) & (depth > 0) & (c > 0)
        if shapes.is_cylinder[index]:
            hit &= np.abs(o[2] + depth * d[..., 2]) <= 1
        number = len(shapes.origin) + index
        best, owner = (
            np.where(hit & (depth < best), depth, best),
            np.where(hit & (depth < best), number, owner),
        )
    return best, owner


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_naive_rays(seed):
    rng = np.random.default_rng(seed)
    scene = Scene(1)
    for _ in range(12):
        thing = scene.thing(stand(*rng.uniform((-4, -2, -1), (4, 12, 3)), yaw=rng.uniform(0, 6)))
        size = rng.uniform(0.1, 2.0, 3)
        thing.frustum(PLAIN, -size, size, *rng.uniform(0, 0.3, 3) * size.min(), bottom=True)
        thing.face(
            PLAIN, rng.normal(0, 1, 3), (*rng.normal(0, 1, 2), 0), (0, 0, rng.uniform(0.2, 2)), two_sided=True
        )
        thing.ellipsoid(PLAIN, rng.normal(0, 1, 3), rng.uniform(0.05, 1.2, 3))
        thing.cylinder(PLAIN, rng.normal(0, 1, 3), rng.normal(0, 1, 3), rng.uniform(0.02, 0.4))
    camera = Camera(intrinsics(70, 60, 80), look(np.array([0, -3.0, 1.2]), 0.1, -0.05, 0.03), 60, 80)
    shapes = scene.at(0)
    visible = cast(camera, shapes)
    depth, owner = _nearest_naively(camera, shapes)
    found = np.where(visible.inverse_depth > 0, 1 / np.maximum(visible.inverse_depth, 1e-9), np.inf)
    agree = np.isclose(found, depth, rtol=1e-3) | (np.isinf(found) & np.isinf(depth))
    # Rays that graze an edge may fall to either side of it in single precision.
    assert agree.mean() > 0.998
    assert (visible.shape == owner).mean() > 0.998
    assert len(np.unique(owner)) > 10


def test_holes_of_a_texture_show_what_is_behind():
    scene = Scene(1)
    wall = scene.thing()
    wall.face(PLAIN, (-5, 6, -5), (10, 0, 0), (0, 0, 10))
    wall.face(Surface(2, "bars", tile=None), (-1, 3, -1), (2, 0, 0), (0, 0, 2))
    camera = Camera(intrinsics(60, 61, 81), look(np.zeros(3), 0, 0), 61, 81)
    seen = cast(camera, scene.at(0)).shape[11:50, 21:60]
    assert 0.15 < (seen == 1).mean() < 0.6
    assert set(np.unique(seen)) == {0, 1}


def test_backs_of_closed_shapes_are_skipped():
    scene = Scene(1)
    scene.thing().face(PLAIN, (5, 6, -5), (-10, 0, 0), (0, 0, 10))
    camera = Camera(intrinsics(60, 40, 40), look(np.zeros(3), 0, 0), 40, 40)
    assert (cast(camera, scene.at(0)).shape == 1).all()
