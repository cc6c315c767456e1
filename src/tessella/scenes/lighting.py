"""Light: sun or lamps with shadows on the ground, light of the surroundings, sky, haze and glare."""

from dataclasses import dataclass

import cv2
import numpy as np

from tessella.scenes.camera import Camera
from tessella.scenes.raster import Visible
from tessella.scenes.shapes import Shapes
from tessella.scenes.textures import sample, texture_index

_GROUND = 0.3
_LAMP_REACH = 2.0
_MAX_SHADOW = 40.0


@dataclass(frozen=True)
class Source:
    """Light from a homogeneous position [4]: (x, y, z, 0) is a direction to the sun, (x, y, z, 1) a lamp."""

    position: np.ndarray
    color: np.ndarray


@dataclass(frozen=True)
class Light:
    """All light of a scene, linear RGB.

    sources: the first one casts shadows of the given depth (0-1). from_above, from_below: light of the
    surroundings on surfaces that look up or down. zenith, horizon: colours of the sky. cloudiness: 0-1.
    haze: share of the horizon's colour that 100 m of air add. glare: strength of the glow around the sun.
    walls: low and high corner of the room, whose corners are darker; None outdoors.
    """

    sources: tuple[Source, ...]
    shadow: float
    from_above: np.ndarray
    from_below: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    cloudiness: float = 0.0
    haze: float = 0.0
    glare: float = 0.0
    walls: tuple[np.ndarray, np.ndarray] | None = None


def radiance(camera: Camera, shapes: Shapes, visible: Visible, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Light that reaches the camera [H, W, 3], and the world normals [H, W, 3] (0 where nothing is seen)."""
    size = visible.shape.shape
    rays = camera.rays.reshape(-1, 3)
    distance_scale = np.sqrt(np.einsum("ni,ni->n", rays, rays))
    shape = visible.shape.ravel()
    hit = np.flatnonzero(shape < len(shapes.label))
    color = np.zeros((shape.size, 3), np.float32)
    normals = np.zeros((shape.size, 3), np.float32)

    everything = len(hit) == shape.size
    index = shape if everything else shape[hit]
    seen_rays = rays if everything else rays[hit]
    depth = 1 / visible.inverse_depth.ravel()[hit]
    points = seen_rays * depth[:, None] + camera.pose[:3, 3].astype(np.float32)
    across, up, normal = _coordinates(camera, shapes, visible, hit, index, points)
    view = seen_rays / distance_scale[hit, None]
    facing = np.abs(np.einsum("ni,ni->n", normal, view))

    tile = np.take(shapes.tile, index, axis=0)
    focal = np.float32(camera.intrinsics[0, 0])
    footprint = depth / focal / (np.sqrt(np.maximum(facing, 0.05)) * np.take(shapes.tile.min(axis=1), index))
    albedo = sample(shapes.texture[index], across / tile[:, 0], up / tile[:, 1], footprint)
    albedo *= np.take(shapes.color, index, axis=0)

    shadow = _shadow_mask(camera, shapes, light).ravel()[hit]
    shadow = np.where(
        (points[:, 2] < _GROUND) & (normal[:, 2] > 0.7), 1 - light.shadow * shadow, np.float32(1)
    )
    received = _received(points, normal, view, shadow, shapes.gloss[index], light)
    received += shapes.emission[index, None]
    albedo *= received
    if light.haze:
        clear = np.exp(np.float32(np.log1p(-light.haze) / 100) * depth * distance_scale[hit])[:, None]
        albedo = albedo * clear + light.horizon.astype(np.float32) * (1 - clear)
    color[hit], normals[hit] = albedo, normal

    if not everything:
        empty = np.flatnonzero(shape == len(shapes.label))
        color[empty] = _sky(rays[empty] / distance_scale[empty, None], light)
    if light.glare:
        toward_sun = rays @ light.sources[0].position[:3].astype(np.float32) / distance_scale
        glow = np.exp((toward_sun - 1) * 9) * 0.35 + np.exp((toward_sun - 1) * 120)
        color += np.float32(light.glare) * glow[:, None] * light.sources[0].color.astype(np.float32)
    return color.reshape(*size, 3), normals.reshape(*size, 3)


def _coordinates(
    camera: Camera, shapes: Shapes, visible: Visible, pixel: np.ndarray, index: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texture coordinates in metres, across and up, and unit normals towards the camera."""
    faces = len(shapes.origin)
    column, row = (pixel % camera.width).astype(np.float32), (pixel // camera.width).astype(np.float32)
    normal_of_face = np.cross(shapes.right, shapes.up)
    behind = np.einsum("ni,ni->n", normal_of_face, shapes.origin - camera.pose[:3, 3]) > 0
    normal_of_face[behind] *= -1
    normal_of_face /= np.linalg.norm(normal_of_face, axis=1, keepdims=True)

    last = np.minimum(index, faces - 1)
    rows = np.take(visible.homography[:, :2].reshape(-1, 6), last, axis=0)
    depth = 1 / visible.inverse_depth.ravel()[pixel]
    across = (rows[:, 0] * column + rows[:, 1] * row + rows[:, 2]) * depth
    up = (rows[:, 3] * column + rows[:, 4] * row + rows[:, 5]) * depth
    normal = np.take(normal_of_face.astype(np.float32), last, axis=0)

    curved = np.flatnonzero(index >= faces)
    if len(curved):
        quadric = index[curved] - faces
        inward = np.linalg.inv(shapes.axes)
        local = np.einsum(
            "nij,nj->ni",
            inward.astype(np.float32)[quadric],
            points[curved] - shapes.centre.astype(np.float32)[quadric],
        )
        reach = np.linalg.norm(shapes.axes, axis=1).astype(np.float32)[quadric]
        across[curved] = np.arctan2(local[:, 1], local[:, 0]) * reach[:, 0]
        up[curved] = (local[:, 2] + 1) * reach[:, 2]
        local[shapes.is_cylinder[quadric], 2] = 0
        outward = np.einsum("nji,nj->ni", inward.astype(np.float32)[quadric], local)
        normal[curved] = outward / np.linalg.norm(outward, axis=1, keepdims=True)
    return across, up, normal


def _received(
    points: np.ndarray,
    normal: np.ndarray,
    view: np.ndarray,
    shadow: np.ndarray,
    gloss: np.ndarray,
    light: Light,
) -> np.ndarray:
    """Light [N, 3] that surfaces of albedo 1 send to the camera."""
    height = (normal[:, 2:] + 1) / 2
    received = height * (light.from_above - light.from_below).astype(np.float32) + light.from_below.astype(
        np.float32
    )
    unobstructed = 0.35 + 0.65 * shadow
    for wall in light.walls or ():
        for axis in range(3):
            gap = np.abs(points[:, axis] - np.float32(wall[axis]))
            unobstructed *= 1 - np.float32(0.22) * np.exp(gap * np.float32(-1 / 0.35))
    received *= unobstructed[:, None]
    for number, source in enumerate(light.sources):
        if source.position[3]:
            toward = source.position[:3].astype(np.float32) - points
            distance = np.sqrt(np.einsum("ni,ni->n", toward, toward))
            toward /= distance[:, None]
            strength = 1 / (1 + (distance / _LAMP_REACH) ** 2)
            cosine = np.einsum("ni,ni->n", toward, normal)
            halfway = 2 * cosine * np.einsum("ni,ni->n", normal, view) - np.einsum("ni,ni->n", toward, view)
        else:
            toward = source.position[:3].astype(np.float32)
            strength = np.float32(1)
            cosine = normal @ toward
            halfway = 2 * cosine * np.einsum("ni,ni->n", normal, view) - view @ toward
        amount = (np.maximum(cosine, 0) + gloss * _to_the_24th(np.maximum(-halfway, 0))) * strength
        if number == 0:
            amount *= shadow
        received += amount[:, None] * source.color.astype(np.float32)
    return received


def _to_the_24th(values: np.ndarray) -> np.ndarray:
    """Much faster than ``values ** 24``."""
    eighth = np.square(np.square(np.square(values)))
    return eighth * eighth * eighth


def _sky(direction: np.ndarray, light: Light) -> np.ndarray:
    height = np.clip(direction[:, 2:], 0, 1)
    share = np.exp(-4 * height)
    color = share * light.horizon.astype(np.float32) + (1 - share) * light.zenith.astype(np.float32)
    plane = direction[:, :2] / (height + 0.12) * np.float32(0.22)
    texture = np.full(len(direction), texture_index("clouds"))
    cover = sample(texture, plane[:, 0], plane[:, 1], 0.006 / (height[:, 0] + 0.12) ** 2)[:, :1]
    cover = np.clip((cover - (0.85 - light.cloudiness * 0.7)) * 3, 0, 1)
    cloud = light.horizon.astype(np.float32) * (1.25 - 0.35 * cover)
    return color + cover * (cloud - color)


def _shadow_mask(camera: Camera, shapes: Shapes, light: Light) -> np.ndarray:
    """How much of the first source is hidden from the ground, [H, W] float32 in 0..1.

    The shadow of a thing is that of the box around it, slid along the light onto the plane z = 0.
    """
    mask = np.zeros((camera.height, camera.width), np.uint8)
    corners = shapes.shadow_boxes[~np.isnan(shapes.shadow_boxes[:, 0, 0])]
    if not light.shadow or not len(corners):
        return mask.astype(np.float32)
    position = light.sources[0].position
    height = np.maximum(corners[..., 2:], 0)
    away = position[3] * corners - position[:3]
    slide = height / np.maximum(-away[..., 2:], 0.05) * away
    reach = np.linalg.norm(slide, axis=-1, keepdims=True)
    ground = corners + slide * np.minimum(1, _MAX_SHADOW / np.maximum(reach, 1e-9))
    ground[..., 2] = 0
    seen = camera.from_world(ground)
    near = 0.3
    pixels = seen @ camera.intrinsics.T
    pixels = pixels[..., :2] / np.maximum(pixels[..., 2:], near)
    in_front = seen[..., 2] > near
    limits = np.array([camera.width, camera.height])
    outside = ((pixels < 0).all(axis=1) | (pixels > limits).all(axis=1)).any(axis=1) & in_front.all(axis=1)
    for index in np.flatnonzero(in_front.any(axis=1) & ~outside):
        if in_front[index].all():
            outline = cv2.convexHull(pixels[index].astype(np.float32))[:, 0]
        else:
            hull = cv2.convexHull(ground[index, :, :2].astype(np.float32), returnPoints=False)[:, 0]
            outline = _clip(seen[index, hull], near) @ camera.intrinsics.T
            outline = outline[:, :2] / outline[:, 2:]
        outline = np.clip(outline, -1e4, 1e4)
        cv2.fillConvexPoly(mask, np.round(outline * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(mask, (0, 0), camera.width / 200).astype(np.float32) / 255


def _clip(polygon: np.ndarray, near: float) -> np.ndarray:
    """The part of a convex polygon [P, 3] with z >= near."""
    kept = []
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if start[2] >= near:
            kept.append(start)
        if (start[2] >= near) != (end[2] >= near):
            kept.append(start + (near - start[2]) / (end[2] - start[2]) * (end - start))
    return np.array(kept)
