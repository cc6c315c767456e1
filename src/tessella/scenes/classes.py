"""Ids of what is rendered: Cityscapes' label ids for streets, the 40 classes of NYUDv2 for rooms."""

import numpy as np

from tessella.datasets import cityscapes
from tessella.datasets.nyudv2_classes import CLASSES_40, index_of_id40

STREET = {label.name: id_ for label, id_ in zip(cityscapes.CLASSES, cityscapes.IDS, strict=True)} | {
    "static": 4
}
"""Name -> label id; ``static`` does not count."""

_COUNTED = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
STREET_INSTANCES = [STREET[name] for name in _COUNTED]
"""Label ids whose objects are told apart."""

STREET_COLORS = np.zeros((256, 3), np.uint8)
"""Label id -> RGB."""
for _label, _id in zip(cityscapes.CLASSES, cityscapes.IDS, strict=True):
    STREET_COLORS[_id] = _label.color

ROOM = {label.name: position + 1 for position, label in enumerate(CLASSES_40)}
"""Name -> id of the 40 classes, from 1."""

TRAIN_LABELS = {"street": cityscapes.INDEX_OF_ID, "room": index_of_id40(40)}
"""Official id -> index into the data set's classes, [256] uint8; 255 does not count."""
