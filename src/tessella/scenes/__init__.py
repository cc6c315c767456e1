"""Rendered RGB-D streets and rooms with exact truth, written in the layouts of Cityscapes and NYUDv2."""

from tessella.scenes.classes import ROOM, STREET, TRAIN_LABELS
from tessella.scenes.frame import Frame, Kind, labelled_position, sequence
from tessella.scenes.render import VERSION, render

__all__ = [
    "ROOM",
    "STREET",
    "TRAIN_LABELS",
    "VERSION",
    "Frame",
    "Kind",
    "labelled_position",
    "render",
    "sequence",
]
