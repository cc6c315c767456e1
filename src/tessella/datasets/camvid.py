"""CamVid: 701 street frames in 11 classes (Brostow, Fauqueur, Cipolla 2009), SegNet's layout and its own."""

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

import numpy as np

from tessella.datasets.file_dataset import FileDataset, Record, pair, require_split
from tessella.datasets.files import find_files, find_images, label_table, map_labels, read_image
from tessella.datasets.sample import IGNORE_INDEX, LabelClass
from tessella.errors import InputError

CLASSES = (
    LabelClass("sky", (128, 128, 128)),
    LabelClass("building", (128, 0, 0)),
    LabelClass("pole", (192, 192, 128)),
    LabelClass("road", (128, 64, 128)),
    LabelClass("pavement", (0, 0, 192)),
    LabelClass("tree", (128, 128, 0)),
    LabelClass("sign", (192, 128, 128)),
    LabelClass("fence", (64, 64, 128)),
    LabelClass("car", (64, 0, 128)),
    LabelClass("pedestrian", (64, 64, 0)),
    LabelClass("bicyclist", (0, 128, 192)),
)

# The 32 classes of label_colors.txt by the class of SegNet's 11 that takes them in, as grouped in the
# semantic segmentation example of the MATLAB documentation.
MEMBERS: dict[str, dict[str, tuple[int, int, int]]] = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Building": (128, 0, 0),
        "Archway": (192, 0, 128),
        "Bridge": (0, 128, 64),
        "Tunnel": (64, 0, 64),
        "Wall": (64, 192, 0),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {"Road": (128, 64, 128), "LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64)},
    "pavement": {"Sidewalk": (0, 0, 192), "ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192)},
    "tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "sign": {"SignSymbol": (192, 128, 128), "Misc_Text": (128, 128, 64), "TrafficLight": (0, 64, 64)},
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128),
        "OtherMoving": (128, 64, 64),
        "SUVPickupTruck": (64, 128, 192),
        "Train": (192, 64, 128),
        "Truck_Bus": (192, 128, 192),
    },
    "pedestrian": {
        "Pedestrian": (64, 64, 0),
        "Animal": (64, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Child": (192, 128, 64),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
    "void": {"Void": (0, 0, 0)},
}


class CamVid(FileDataset):
    """Two layouts, told apart by their folders; images may be .png or .jpg.

    SegNet: ``root/train`` and ``root/trainannot`` (likewise val, test), label PNGs with 0 to 10 and 11 for
    void. The folders decide, not the .txt lists beside them.

    Published: ``root/701_StillsRaw_full/<frame>.png`` and ``root/LabeledApproved_full/<frame>_L.png`` in the
    32 colours of label_colors.txt. A split is the list ``root/<split>.txt``, one frame a line, where there is
    one, else what SegNet's split makes of the sequences (``split_of_frame``).

    InputError: a folder or label map is missing (``skip_orphans`` leaves images without labels out).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, root: str | Path, split: str, *, skip_orphans: bool = False) -> None:
        require_split("CamVid", split, self.splits)
        root = Path(root)
        self.has_color_labels = (root / "701_StillsRaw_full").is_dir()
        if self.has_color_labels:
            images = find_images(root / "701_StillsRaw_full")
            labels = find_files(root / "LabeledApproved_full", "_L.png")
            frames = frames_of_split(root, split, images)
            images = {frame: images[frame] for frame in frames}
            labels = {frame: labels[frame] for frame in frames if frame in labels}
            index_of_id = _color_table()
        else:
            images = find_images(root / split)
            labels = find_files(root / f"{split}annot", ".png")
            index_of_id = label_table({i: i for i in range(11)} | {11: IGNORE_INDEX})
        records, orphans = pair(f"{split}/", images, labels, skip_orphans)
        super().__init__(CLASSES, index_of_id, records, orphans)

    def read_labels(self, record: Record) -> np.ndarray | None:
        if not self.has_color_labels or record.labels is None:
            return super().read_labels(record)
        colors = read_image(record.labels)
        stray = (colors & 63).any(axis=2)
        if stray.any():
            raise InputError(
                f"{record.labels}: color {colors[stray][0].tolist()} is none of CamVid's; fix the file"
            )
        return map_labels(_color_code(colors), self.index_of_id, record.labels)


def _color_code(colors: np.ndarray) -> np.ndarray:
    """[..., 3] to [...] uint8: CamVid's channels are 0, 64, 128 or 192, so two bits of each suffice."""
    return (colors[..., 0] >> 2) | (colors[..., 1] >> 4) | (colors[..., 2] >> 6)


def _color_table() -> np.ndarray:
    index_of_name = {label.name: index for index, label in enumerate(CLASSES)}
    return label_table(
        {
            int(_color_code(np.array(color, np.uint8))): index_of_name.get(name, IGNORE_INDEX)
            for name, members in MEMBERS.items()
            for color in members.values()
        }
    )


def frames_of_split(root: Path, split: str, frames: Collection[str]) -> list[str]:
    """Those of ``frames`` (file names without ending) that belong to a split of the published layout."""
    path = root / f"{split}.txt"
    if not path.is_file():
        found = [frame for frame in frames if split_of_frame(frame) == split]
        if not found:
            raise InputError(
                f"{root}: none of its {len(frames)} frames is in SegNet's split; write {path.name}"
            )
        return found
    listed = {Path(line.split()[0]).stem for line in path.read_text().splitlines() if line.strip()}
    missing = sorted(listed.difference(frames))
    if missing or not listed:
        raise InputError(f"{path}: {missing[0] if missing else 'nothing'} listed; name frames that exist")
    return sorted(listed)


def split_of_frame(frame: str) -> str | None:
    """SegNet's split of the published frames (367, 101, 233): whole sequences, but for two cut in time."""
    sequence, _, number = frame.partition("_")
    if sequence == "0001TP":
        return "train" if number <= "008520" else "test"
    if sequence == "0016E5":
        return "val" if "07959" <= number <= "08159" else "train"
    return {"0006R0": "train", "Seq05VD": "test"}.get(sequence)
