"""What a scene is made of: flat faces and quadrics, put together into rigid things that move over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tessella.scenes.camera import stand
from tessella.scenes.textures import texture_index

Vector = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Surface:
    """How a shape looks and what it is.

    label: official id. texture: a name of the texture bank. color: linear RGB that multiplies the texture.
    tile: metres per repetition of the texture, across and up; None stretches it once over the whole shape.
    emission: light it sends out by itself, as a multiple of its colour. gloss: strength of the highlight.
    """

    label: int
    texture: str
    color: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tile: float | tuple[float, float] | None = 1.0
    emission: float = 0.0
    gloss: float = 0.0

    def but(self, **changes: object) -> "Surface":
        """The same surface with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Shapes:
    """All shapes of a scene at one time, in world coordinates: F faces, then Q quadrics (N = F + Q).

    A face is ``origin + s * right + t * up`` with unit vectors, 0 <= t <= height and
    ``left * t <= s <= width - slant * t``: a rectangle, a trapezoid or a triangle. Its front is the side from
    which right x up points to the viewer. A quadric is the image of the unit ball, or of the unit cylinder
    ``x^2 + y^2 = 1, |z| <= 1``, under ``axes @ p + centre``.
    """

    origin: np.ndarray  # [F, 3]
    right: np.ndarray  # [F, 3]
    up: np.ndarray  # [F, 3]
    extent: np.ndarray  # [F, 4]: width, height, left, slant
    two_sided: np.ndarray  # [F]
    centre: np.ndarray  # [Q, 3]
    axes: np.ndarray  # [Q, 3, 3]
    is_cylinder: np.ndarray  # [Q]
    texture: np.ndarray  # [N]
    tile: np.ndarray  # [N, 2]
    color: np.ndarray  # [N, 3]
    emission: np.ndarray  # [N]
    gloss: np.ndarray  # [N]
    label: np.ndarray  # [N]
    instance: np.ndarray  # [N]
    body: np.ndarray  # [N]
    motion: np.ndarray  # [B, 4, 4]: body to world
    shadow_boxes: np.ndarray  # [B, 8, 3]: corners of what casts a shadow; NaN for what casts none


_SHAPE_FIELDS = ("extent", "two_sided", "is_cylinder", "texture", "tile", "color")
_CONSTANT = (*_SHAPE_FIELDS, "emission", "gloss", "label", "instance", "body")


class Thing:
    """A rigid body under construction; coordinates are its own: x right, y ahead, z up, metres."""

    def __init__(self, poses: np.ndarray, instance: int, casts_shadow: bool) -> None:
        self.poses = poses
        self.instance = instance
        self.casts_shadow = casts_shadow
        self.faces: list[tuple] = []
        self.quadrics: list[tuple] = []

    def face(
        self,
        surface: Surface,
        origin: Vector,
        right: Vector,
        up: Vector,
        taper: tuple[float, float] = (0.0, 0.0),
        two_sided: bool = False,
    ) -> None:
        """The parallelogram from origin along right and up; taper: how far the upper corners move in."""
        right, up = np.asarray(right, float), np.asarray(up, float)
        width, height = math.sqrt(right @ right), math.sqrt(up @ up)
        across = right / width
        self.faces.append(
            (
                np.asarray(origin, float),
                across,
                up / height,
                (width, height, taper[0] / height, taper[1] / height),
                two_sided,
                surface,
            )
        )

    def box(
        self,
        surface: Surface,
        low: Vector,
        high: Vector,
        front: Surface | None = None,
        back: Surface | None = None,
        top: Surface | None = None,
        bottom: bool = False,
    ) -> None:
        """An upright box; ``front`` is the side towards -y, ``back`` the one towards +y."""
        self.frustum(surface, low, high, 0.0, 0.0, 0.0, front, back, top, bottom)

    def frustum(
        self,
        surface: Surface,
        low: Vector,
        high: Vector,
        front_slope: float,
        back_slope: float,
        side_slope: float,
        front: Surface | None = None,
        back: Surface | None = None,
        top: Surface | None = None,
        bottom: bool = False,
    ) -> None:
        """A box whose upper side is smaller by the three slopes (metres, at -y, at +y, at both x sides)."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        f, b, s, h = front_slope, back_slope, side_slope, z1 - z0
        self.face(front or surface, (x0, y0, z0), (x1 - x0, 0, 0), (0, f, h), (s, s))
        self.face(back or surface, (x1, y1, z0), (x0 - x1, 0, 0), (0, -b, h), (s, s))
        self.face(surface, (x0, y1, z0), (0, y0 - y1, 0), (s, 0, h), (b, f))
        self.face(surface, (x1, y0, z0), (0, y1 - y0, 0), (-s, 0, h), (f, b))
        self.face(top or surface, (x0 + s, y0 + f, z1), (x1 - x0 - 2 * s, 0, 0), (0, y1 - y0 - f - b, 0))
        if bottom:
            self.face(surface, (x0, y1, z0), (x1 - x0, 0, 0), (0, y0 - y1, 0))

    def ellipsoid(self, surface: Surface, centre: Vector, radii: Vector) -> None:
        """An ellipsoid along the axes of the thing."""
        self.quadrics.append((np.asarray(centre, float), np.diag(np.asarray(radii, float)), False, surface))

    def cylinder(self, surface: Surface, start: Vector, end: Vector, radius: float) -> None:
        """An open cylinder between two points."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = (end - start) / 2
        helper = np.eye(3)[np.argmin(np.abs(axis))]
        across = np.cross(axis, helper)
        across *= radius / np.linalg.norm(across)
        other = np.cross(axis, across) / np.linalg.norm(axis)
        self.quadrics.append(((start + end) / 2, np.stack([across, other, axis], axis=1), True, surface))

    def _corners(self) -> np.ndarray:
        """The eight corners of the box around the thing, [8, 3]."""
        points = [
            o + a * e[0] * r + b * e[1] * u for o, r, u, e, *_ in self.faces for a in (0, 1) for b in (0, 1)
        ]
        for centre, axes, *_ in self.quadrics:
            reach = np.sqrt((axes**2).sum(axis=1))
            points += [centre - reach, centre + reach]
        low, high = np.min(points, axis=0), np.max(points, axis=0)
        return np.array(
            [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        )


class Scene:
    """Things over a number of frames."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.things: list[Thing] = []
        self._arrays: dict[str, np.ndarray] | None = None

    def thing(
        self, pose: np.ndarray | None = None, part_of: Thing | None = None, casts_shadow: bool = True
    ) -> Thing:
        """A new thing at a pose [4, 4] or along poses [frames, 4, 4]; ``part_of`` shares its instance."""
        poses = np.broadcast_to(stand(0, 0) if pose is None else pose, (self.frames, 4, 4))
        instance = (
            part_of.instance if part_of else 1 + max((thing.instance for thing in self.things), default=0)
        )
        thing = Thing(poses, instance, casts_shadow)
        self.things.append(thing)
        return thing

    def at(self, frame: int) -> Shapes:
        """All shapes at one frame, in world coordinates."""
        local = self._arrays = self._arrays or self._gather()
        motion = local["poses"][:, frame]
        faces = len(local["origin"])
        rotation, shift = motion[local["body"], :3, :3], motion[local["body"], :3, 3]

        def turn(vectors: np.ndarray, first: int) -> np.ndarray:
            return np.einsum("nij,nj...->ni...", rotation[first : first + len(vectors)], vectors)

        corners = np.einsum("bij,bkj->bki", motion[:, :3, :3], local["corners"]) + motion[:, None, :3, 3]
        return Shapes(
            origin=turn(local["origin"], 0) + shift[:faces],
            right=turn(local["right"], 0),
            up=turn(local["up"], 0),
            centre=turn(local["centre"], faces) + shift[faces:],
            axes=turn(local["axes"], faces),
            motion=motion,
            shadow_boxes=corners,
            **{name: local[name] for name in _CONSTANT},
        )

    def _gather(self) -> dict[str, np.ndarray]:
        things = [thing for thing in self.things if thing.faces or thing.quadrics]
        faces = [(body, *face) for body, thing in enumerate(things) for face in thing.faces]
        quadrics = [(body, *quadric) for body, thing in enumerate(things) for quadric in thing.quadrics]
        surfaces = [entry[-1] for entry in faces + quadrics]
        spans = [face[4][:2] for face in faces]
        spans += [
            (2 * np.pi * np.linalg.norm(axes[:, 0]), 2 * np.linalg.norm(axes[:, 2]))
            for _, _, axes, *_ in quadrics
        ]
        body = np.array([entry[0] for entry in faces + quadrics])
        nothing = np.full((8, 3), np.nan)
        return {
            "poses": np.stack([thing.poses for thing in things]),
            "corners": np.stack([thing._corners() if thing.casts_shadow else nothing for thing in things]),
            "origin": np.array([face[1] for face in faces]).reshape(-1, 3),
            "right": np.array([face[2] for face in faces]).reshape(-1, 3),
            "up": np.array([face[3] for face in faces]).reshape(-1, 3),
            "extent": np.array([face[4] for face in faces]).reshape(-1, 4),
            "two_sided": np.array([face[5] for face in faces], bool),
            "centre": np.array([quadric[1] for quadric in quadrics]).reshape(-1, 3),
            "axes": np.array([quadric[2] for quadric in quadrics]).reshape(-1, 3, 3),
            "is_cylinder": np.array([quadric[3] for quadric in quadrics], bool),
            "texture": np.array([texture_index(surface.texture) for surface in surfaces]),
            "tile": np.array(
                [
                    span if surface.tile is None else np.broadcast_to(surface.tile, 2)
                    for span, surface in zip(spans, surfaces, strict=True)
                ],
                np.float32,
            ),
            "color": np.array([surface.color for surface in surfaces], np.float32),
            "emission": np.array([surface.emission for surface in surfaces], np.float32),
            "gloss": np.array([surface.gloss for surface in surfaces], np.float32),
            "label": np.array([surface.label for surface in surfaces], np.uint8),
            "instance": np.array([things[b].instance for b in body], np.uint16),
            "body": body,
        }
