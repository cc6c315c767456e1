"""Rendered RGB-D streets and rooms with exact truth, in the layouts of Cityscapes and NYUDv2; objects and normals."""

from tessella.scenes.classes import ROOM, STREET, TRAIN_LABELS
from tessella.scenes.frame import Frame, Kind, labelled_position, sequence
from tessella.scenes.objects import MODES, mode_of, mode_tolerance, render_objects
from tessella.scenes.render import VERSION, render

__all__ = [
    "MODES",
    "ROOM",
    "STREET",
    "TRAIN_LABELS",
    "VERSION",
    "Frame",
    "Kind",
    "labelled_position",
    "mode_of",
    "mode_tolerance",
    "render",
    "render_objects",
    "sequence",
]
