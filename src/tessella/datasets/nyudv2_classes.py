"""The 40, 13 and 4 classes of NYUDv2, and of SUN3D's 33: which of the 40 each of them takes in."""

import numpy as np

from tessella.datasets.colors import distinct_colors
from tessella.datasets.files import label_table
from tessella.datasets.sample import IGNORE_INDEX, LabelClass

CLASSES_4 = (
    LabelClass("ground", (222, 241, 24)),
    LabelClass("structure", (249, 139, 0)),
    LabelClass("furniture", (255, 206, 206)),
    LabelClass("prop", (0, 224, 229)),
)
"""Silberman et al., ECCV 2012."""

CLASSES_13 = (
    LabelClass("bed", (0, 0, 255)),
    LabelClass("books", (233, 89, 48)),
    LabelClass("ceiling", (0, 218, 0)),
    LabelClass("chair", (149, 0, 240)),
    LabelClass("floor", (222, 241, 24)),
    LabelClass("furniture", (255, 206, 206)),
    LabelClass("objects", (0, 224, 229)),
    LabelClass("picture", (106, 136, 204)),
    LabelClass("sofa", (117, 29, 41)),
    LabelClass("table", (240, 35, 235)),
    LabelClass("tv", (0, 167, 156)),
    LabelClass("wall", (249, 139, 0)),
    LabelClass("window", (225, 229, 194)),
)
"""Couprie et al., ICLR 2013; colours of SceneNet (Handa et al., CVPR 2016)."""

MERGES = (  # of the 40 classes, in the order of their ids from 1: its class of the 13, and of the 4
    ("wall", "wall", "structure"),
    ("floor", "floor", "ground"),
    ("cabinet", "furniture", "furniture"),
    ("bed", "bed", "furniture"),
    ("chair", "chair", "furniture"),
    ("sofa", "sofa", "furniture"),
    ("table", "table", "furniture"),
    ("door", "wall", "structure"),
    ("window", "window", "structure"),
    ("bookshelf", "furniture", "furniture"),
    ("picture", "picture", "prop"),
    ("counter", "furniture", "structure"),
    ("blinds", "window", "structure"),
    ("desk", "table", "furniture"),
    ("shelves", "furniture", "furniture"),
    ("curtain", "window", "structure"),
    ("dresser", "furniture", "furniture"),
    ("pillow", "objects", "prop"),
    ("mirror", "objects", "prop"),
    ("floor mat", "floor", "prop"),
    ("clothes", "objects", "prop"),
    ("ceiling", "ceiling", "structure"),
    ("books", "books", "prop"),
    ("refrigerator", "furniture", "furniture"),
    ("television", "tv", "prop"),
    ("paper", "objects", "prop"),
    ("towel", "objects", "prop"),
    ("shower curtain", "objects", "structure"),
    ("box", "objects", "prop"),
    ("whiteboard", "objects", "structure"),
    ("person", "objects", "prop"),
    ("night stand", "furniture", "furniture"),
    ("toilet", "objects", "furniture"),
    ("sink", "objects", "prop"),
    ("lamp", "objects", "prop"),
    ("bathtub", "objects", "furniture"),
    ("bag", "objects", "prop"),
    ("other structure", "objects", "structure"),
    ("other furniture", "furniture", "furniture"),
    ("other prop", "objects", "prop"),
)
"""As tabulated in github.com/howard-mahe/nyudv2_class_mapping."""

CLASSES_40 = tuple(
    LabelClass(row[0], color) for row, color in zip(MERGES, distinct_colors(len(MERGES)), strict=True)
)
"""Gupta et al., CVPR 2013."""

CLASSES = {4: CLASSES_4, 13: CLASSES_13, 40: CLASSES_40}


def index_of_id40(count: int) -> np.ndarray:
    """[256] uint8 table from ids of the 40 classes (1 to 40, 0 void) to indices into ``CLASSES[count]``."""
    column = {40: 0, 13: 1, 4: 2}[count]
    index_of_name = {label.name: index for index, label in enumerate(CLASSES[count])}
    return label_table(
        {0: IGNORE_INDEX} | {i + 1: index_of_name[row[column]] for i, row in enumerate(MERGES)}
    )
