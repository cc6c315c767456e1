"""ADE20K as cut for the MIT Scene Parsing benchmark: 150 classes (Zhou et al., CVPR 2017)."""

from pathlib import Path
from typing import ClassVar

from tessella.datasets.file_dataset import FileDataset, Record, pair, require_split
from tessella.datasets.files import find_files, find_images, label_table
from tessella.datasets.sample import IGNORE_INDEX, LabelClass


class ADE20K(FileDataset):
    """``root/images/<split>/*.jpg`` and ``root/annotations/<split>/*.png`` with ids 1 to 150, 0 for other.

    The layout of ADEChallengeData2016; "other" does not count. Testing has no labels.

    InputError: a folder or label map is missing (``skip_orphans`` leaves images without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("training", "validation", "testing")

    def __init__(self, root: str | Path, split: str, *, skip_orphans: bool = False) -> None:
        require_split("ADE20K", split, self.splits)
        images = find_images(Path(root) / "images" / split)
        orphans: list[str] = []
        if split == "testing":
            records = [Record(f"{split}/{key}", path) for key, path in images.items()]
        else:
            labels = find_files(Path(root) / "annotations" / split, ".png")
            records, orphans = pair(f"{split}/", images, labels, skip_orphans)
        super().__init__(CLASSES, INDEX_OF_ID, records, orphans)


CLASSES = (
    LabelClass("wall", (120, 120, 120)),
    LabelClass("building", (180, 120, 120)),
    LabelClass("sky", (6, 230, 230)),
    LabelClass("floor", (80, 50, 50)),
    LabelClass("tree", (4, 200, 3)),
    LabelClass("ceiling", (120, 120, 80)),
    LabelClass("road", (140, 140, 140)),
    LabelClass("bed", (204, 5, 255)),
    LabelClass("windowpane", (230, 230, 230)),
    LabelClass("grass", (4, 250, 7)),
    LabelClass("cabinet", (224, 5, 255)),
    LabelClass("sidewalk", (235, 255, 7)),
    LabelClass("person", (150, 5, 61)),
    LabelClass("earth", (120, 120, 70)),
    LabelClass("door", (8, 255, 51)),
    LabelClass("table", (255, 6, 82)),
    LabelClass("mountain", (143, 255, 140)),
    LabelClass("plant", (204, 255, 4)),
    LabelClass("curtain", (255, 51, 7)),
    LabelClass("chair", (204, 70, 3)),
    LabelClass("car", (0, 102, 200)),
    LabelClass("water", (61, 230, 250)),
    LabelClass("painting", (255, 6, 51)),
    LabelClass("sofa", (11, 102, 255)),
    LabelClass("shelf", (255, 7, 71)),
    LabelClass("house", (255, 9, 224)),
    LabelClass("sea", (9, 7, 230)),
    LabelClass("mirror", (220, 220, 220)),
    LabelClass("rug", (255, 9, 92)),
    LabelClass("field", (112, 9, 255)),
    LabelClass("armchair", (8, 255, 214)),
    LabelClass("seat", (7, 255, 224)),
    LabelClass("fence", (255, 184, 6)),
    LabelClass("desk", (10, 255, 71)),
    LabelClass("rock", (255, 41, 10)),
    LabelClass("wardrobe", (7, 255, 255)),
    LabelClass("lamp", (224, 255, 8)),
    LabelClass("bathtub", (102, 8, 255)),
    LabelClass("railing", (255, 61, 6)),
    LabelClass("cushion", (255, 194, 7)),
    LabelClass("base", (255, 122, 8)),
    LabelClass("box", (0, 255, 20)),
    LabelClass("column", (255, 8, 41)),
    LabelClass("signboard", (255, 5, 153)),
    LabelClass("chest of drawers", (6, 51, 255)),
    LabelClass("counter", (235, 12, 255)),
    LabelClass("sand", (160, 150, 20)),
    LabelClass("sink", (0, 163, 255)),
    LabelClass("skyscraper", (140, 140, 140)),
    LabelClass("fireplace", (250, 10, 15)),
    LabelClass("refrigerator", (20, 255, 0)),
    LabelClass("grandstand", (31, 255, 0)),
    LabelClass("path", (255, 31, 0)),
    LabelClass("stairs", (255, 224, 0)),
    LabelClass("runway", (153, 255, 0)),
    LabelClass("case", (0, 0, 255)),
    LabelClass("pool table", (255, 71, 0)),
    LabelClass("pillow", (0, 235, 255)),
    LabelClass("screen door", (0, 173, 255)),
    LabelClass("stairway", (31, 0, 255)),
    LabelClass("river", (11, 200, 200)),
    LabelClass("bridge", (255, 82, 0)),
    LabelClass("bookcase", (0, 255, 245)),
    LabelClass("blind", (0, 61, 255)),
    LabelClass("coffee table", (0, 255, 112)),
    LabelClass("toilet", (0, 255, 133)),
    LabelClass("flower", (255, 0, 0)),
    LabelClass("book", (255, 163, 0)),
    LabelClass("hill", (255, 102, 0)),
    LabelClass("bench", (194, 255, 0)),
    LabelClass("countertop", (0, 143, 255)),
    LabelClass("stove", (51, 255, 0)),
    LabelClass("palm", (0, 82, 255)),
    LabelClass("kitchen island", (0, 255, 41)),
    LabelClass("computer", (0, 255, 173)),
    LabelClass("swivel chair", (10, 0, 255)),
    LabelClass("boat", (173, 255, 0)),
    LabelClass("bar", (0, 255, 153)),
    LabelClass("arcade machine", (255, 92, 0)),
    LabelClass("hovel", (255, 0, 255)),
    LabelClass("bus", (255, 0, 245)),
    LabelClass("towel", (255, 0, 102)),
    LabelClass("light", (255, 173, 0)),
    LabelClass("truck", (255, 0, 20)),
    LabelClass("tower", (255, 184, 184)),
    LabelClass("chandelier", (0, 31, 255)),
    LabelClass("awning", (0, 255, 61)),
    LabelClass("streetlight", (0, 71, 255)),
    LabelClass("booth", (255, 0, 204)),
    LabelClass("television receiver", (0, 255, 194)),
    LabelClass("airplane", (0, 255, 82)),
    LabelClass("dirt track", (0, 10, 255)),
    LabelClass("apparel", (0, 112, 255)),
    LabelClass("pole", (51, 0, 255)),
    LabelClass("land", (0, 194, 255)),
    LabelClass("bannister", (0, 122, 255)),
    LabelClass("escalator", (0, 255, 163)),
    LabelClass("ottoman", (255, 153, 0)),
    LabelClass("bottle", (0, 255, 10)),
    LabelClass("buffet", (255, 112, 0)),
    LabelClass("poster", (143, 255, 0)),
    LabelClass("stage", (82, 0, 255)),
    LabelClass("van", (163, 255, 0)),
    LabelClass("ship", (255, 235, 0)),
    LabelClass("fountain", (8, 184, 170)),
    LabelClass("conveyer belt", (133, 0, 255)),
    LabelClass("canopy", (0, 255, 92)),
    LabelClass("washer", (184, 0, 255)),
    LabelClass("plaything", (255, 0, 31)),
    LabelClass("swimming pool", (0, 184, 255)),
    LabelClass("stool", (0, 214, 255)),
    LabelClass("barrel", (255, 0, 112)),
    LabelClass("basket", (92, 255, 0)),
    LabelClass("waterfall", (0, 224, 255)),
    LabelClass("tent", (112, 224, 255)),
    LabelClass("bag", (70, 184, 160)),
    LabelClass("minibike", (163, 0, 255)),
    LabelClass("cradle", (153, 0, 255)),
    LabelClass("oven", (71, 255, 0)),
    LabelClass("ball", (255, 0, 163)),
    LabelClass("food", (255, 204, 0)),
    LabelClass("step", (255, 0, 143)),
    LabelClass("tank", (0, 255, 235)),
    LabelClass("trade name", (133, 255, 0)),
    LabelClass("microwave", (255, 0, 235)),
    LabelClass("pot", (245, 0, 255)),
    LabelClass("animal", (255, 0, 122)),
    LabelClass("bicycle", (255, 245, 0)),
    LabelClass("lake", (10, 190, 212)),
    LabelClass("dishwasher", (214, 255, 0)),
    LabelClass("screen", (0, 204, 255)),
    LabelClass("blanket", (20, 0, 255)),
    LabelClass("sculpture", (255, 255, 0)),
    LabelClass("hood", (0, 153, 255)),
    LabelClass("sconce", (0, 41, 255)),
    LabelClass("vase", (0, 255, 204)),
    LabelClass("traffic light", (41, 0, 255)),
    LabelClass("tray", (41, 255, 0)),
    LabelClass("ashcan", (173, 0, 255)),
    LabelClass("fan", (0, 245, 255)),
    LabelClass("pier", (71, 0, 255)),
    LabelClass("crt screen", (122, 0, 255)),
    LabelClass("plate", (0, 255, 184)),
    LabelClass("monitor", (0, 92, 255)),
    LabelClass("bulletin board", (184, 255, 0)),
    LabelClass("shower", (0, 133, 255)),
    LabelClass("radiator", (255, 214, 0)),
    LabelClass("glass", (25, 194, 194)),
    LabelClass("clock", (102, 255, 0)),
    LabelClass("flag", (92, 0, 255)),
)
"""First names of objectInfo150, with the benchmark's colours; road and skyscraper share one there."""

INDEX_OF_ID = label_table({0: IGNORE_INDEX} | {i + 1: i for i in range(len(CLASSES))})
